"""PostgreSQL lets writers run side by side where SQLite has them queue: nobody may notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from conda_store.db import environments, leases
from conda_store.db.engine import Database
from conda_store.db.tables import build, conda_package, environment, lock, namespace, specification
from conda_store.domain.access import SYSTEM
from conda_store.domain.audit import AuditEntry, Trail
from conda_store.domain.build import BuildStatus
from conda_store.errors import ConfigurationError, QuotaExceeded, Unavailable
from conda_store.services.auditing import write_refusals
from conda_store.services.builds import cancel_build
from conda_store.services.context import Context
from conda_store.services.quotas import claim_build
from conda_store.services.run_build import run_build
from conda_store.services.settings import update_settings
from tests.acceptance.harness import Store, store, tiny_channel
from tests.queueing import LEASE, claimed, found, handed_in, link
from tests.waiting import PATIENCE, wait_for
from tools.channel.serve import ChannelServer, Fault

THREADS = 8


def at_once(what: Callable[[int], object], count: int) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(what, number) for number in range(count)]:
            future.result(PATIENCE)


def counted(context: Context, table: object) -> int:
    with context.database.read() as connection:
        number: int = connection.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]
    return number


def test_the_same_specification_handed_in_by_many(context: Context) -> None:
    at_once(lambda _: handed_in(context, "python", "numpy"), 24)
    assert counted(context, build) == 24
    assert [counted(context, table) for table in (namespace, environment, specification)] == [1, 1, 1]


def test_the_same_packages_built_by_many(context: Context) -> None:
    submitted = [handed_in(context, "python", "numpy", "pandas", name=f"e{number}") for number in range(16)]
    at_once(lambda _: asyncio.run(run_build(context, claimed(context))), len(submitted))
    assert {found(context, build_id).status for build_id in submitted} == {BuildStatus.COMPLETED}
    assert {found(context, build_id).attempt for build_id in submitted} == {1}
    assert (counted(context, conda_package), counted(context, lock)) == (3, 1)


def test_builds_of_one_environment_at_once_leave_the_newest_linked(context: Context) -> None:
    submitted = [handed_in(context, "python") for _ in range(12)]
    at_once(lambda _: asyncio.run(run_build(context, claimed(context))), len(submitted))
    assert link(context).readlink() == Path(str(found(context, submitted[-1]).prefix))
    with context.database.read() as connection:
        assert environments.links_to_change(connection) == ()


def test_cancelling_and_claiming_at_once(context: Context) -> None:
    submitted = [handed_in(context, "python", name=f"e{number}") for number in range(40)]

    def either(number: int) -> None:
        if number % 2:
            cancel_build(context, SYSTEM, submitted[number // 2])
        else:
            with context.database.write() as connection:
                leases.claim(connection, "worker", LEASE)

    at_once(either, 80)
    with context.database.read() as connection:
        rows = connection.execute(select(build.c.status, build.c.cancel_requested, build.c.owner)).all()
    for status, is_cancel_requested, owner in rows:
        assert (status, owner) in {(BuildStatus.CANCELED, None), (BuildStatus.BUILDING, "worker")}
        assert is_cancel_requested


def test_claims_at_once_keep_the_limit_of_a_namespace(context: Context) -> None:
    update_settings(context, SYSTEM, {"quota_concurrent_builds": 3}, "ns")
    for number in range(12):
        handed_in(context, "python", name=f"e{number}")
    claims = []
    at_once(lambda _: claims.append(claim_build(context, "worker")), 12)
    assert sum(claim is not None for claim in claims) == 3


def test_submissions_at_once_keep_the_quota_of_a_namespace(context: Context) -> None:
    update_settings(context, SYSTEM, {"quota_environments": 4}, "ns")
    refused = []

    def submit(number: int) -> None:
        try:
            handed_in(context, "python", name=f"e{number}")
        except QuotaExceeded as error:
            refused.append(error)

    at_once(submit, 16)
    assert (counted(context, environment), len(refused)) == (4, 12)


def test_the_audit_log_is_only_added_to(context: Context) -> None:
    write_refusals(context, Trail(refused=[AuditEntry("ada", "kept", None, None, False)]))
    for change in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit"):
        with pytest.raises(DBAPIError, match="only added to"), context.database.write() as connection:
            connection.execute(text(change))
    with context.database.write() as connection:
        old = "INSERT INTO audit (moment, actor, token, address, action, detail, is_allowed, request_id) "
        connection.execute(text(old + "VALUES ('2001-01-01', 'a', '', '', 'old', '', true, '')"))
        assert connection.execute(text("DELETE FROM audit WHERE action = 'old'")).rowcount == 1


def test_a_database_that_went_away_is_said_to_be_unavailable(database: Database, server: str) -> None:
    with pytest.raises(Unavailable), database.read() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with database.read() as connection:  # and is found again
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    absent = Database(f"{server}/absent")
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        absent.check()
    absent.close()


def test_urls_of_older_configurations_are_understood(server: str) -> None:
    for scheme in ("postgresql", "postgresql+psycopg2"):
        database = Database(server.replace("postgresql+psycopg", scheme) + "/postgres")
        database.check()
        database.close()


@pytest.fixture
def opened_store(database_url: str, tmp_path: Path):  # type: ignore[no-untyped-def]
    with (
        ChannelServer(tiny_channel(tmp_path / "channel")) as server,
        store(tmp_path / "store", database_url=database_url, conda_default_channels=[server.url]) as opened,
    ):
        yield opened, server


def test_two_workers_build_cancel_and_survive_a_kill(opened_store: tuple[Store, ChannelServer]) -> None:
    opened, channel = opened_store
    first, _ = opened.start_worker(), opened.start_worker()
    submitted = [opened.submit(f"name: env{number}\ndependencies: [two]\n") for number in range(6)]
    assert {opened.ended(build_id).status for build_id in submitted} == {BuildStatus.COMPLETED}
    channel.faults["*/three-*"] = Fault(hang=True)
    hanging = [opened.submit(f"name: held{number}\ndependencies: [three]\n") for number in range(4)]
    for build_id in hanging:
        wait_for("all install", lambda build_id=build_id: "Executing transaction" in opened.log(build_id))
    cancel_build(opened.context, SYSTEM, hanging[0])
    assert opened.ended(hanging[0]).status is BuildStatus.CANCELED
    opened.kill(first)
    channel.faults.clear()
    # those of the worker that is gone are taken up by the other
    for build_id in hanging[1:]:
        assert opened.ended(build_id).status is BuildStatus.COMPLETED
    opened.is_clean()
