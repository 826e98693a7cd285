"""What happens to a build between the processes that may end it, and when one of them comes too late."""

from __future__ import annotations

import asyncio
import errno
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection, update

from conda_store.builder.fake import FakeBuilder
from conda_store.builder.ports import InstallRequest, Reporter, SolveRequest
from conda_store.db import artifacts, audit, builds, environments, leases, locks, logs
from conda_store.db.leases import Lease
from conda_store.db.tables import build as build_table
from conda_store.domain.access import SYSTEM
from conda_store.domain.artifact import ArtifactState, ArtifactType
from conda_store.domain.audit import AuditFilter
from conda_store.domain.build import BuildStatus, Progress
from conda_store.domain.lock import Lock
from conda_store.domain.specification import Specification
from conda_store.errors import (
    DiskFull,
    Interrupted,
    NotFound,
    PackageUnavailable,
    SolveTimedOut,
    StorageFailed,
    Unavailable,
)
from conda_store.services import housekeeping
from conda_store.services.builds import cancel_build, delete_build, rebuild
from conda_store.services.clearing import purge_deleted
from conda_store.services.context import Context
from conda_store.services.ending import give_back, give_up
from conda_store.services.environments import delete_environment, update_environment
from conda_store.services.links import update_links
from conda_store.services.logs import keep_log
from conda_store.services.namespaces import delete_namespace
from conda_store.services.reporting import BuildReporter
from conda_store.services.run_build import run_build
from conda_store.services.settings import effective_settings, rules_in_force, update_settings
from conda_store.services.solving import solve_once, solve_request
from conda_store.storage.blobs import StoredBlob
from tests.queueing import (
    LEASE,
    FullDatabase,
    archive_asked_for,
    claimed,
    found,
    handed_in,
    link,
    log,
    run,
    with_builder,
    with_database,
)
from tests.told import logged
from tests.waiting import PATIENCE

LOST = Interrupted("its process ended")


def let_expire(context: Context, lease: Lease) -> None:
    with context.database.write() as connection:
        assert leases.renew(connection, lease, timedelta(seconds=-1)).is_held


# --- leases -------------------------------------------------------------------------------------------------


def test_a_worker_that_renews_late_keeps_its_build_from_the_sweep(context: Context) -> None:
    build_id = handed_in(context, "python")
    lease = claimed(context)
    let_expire(context, lease)
    with context.database.read() as connection:
        (noticed, _), *_ = leases.expired(connection)
    with context.database.write() as connection:
        leases.renew(connection, lease, LEASE)
    with context.database.write() as connection:
        assert leases.seize(connection, noticed, "sweeper", LEASE, is_expired=True) is None
    asyncio.run(run_build(context, lease))
    assert found(context, build_id).status is BuildStatus.COMPLETED


def test_an_artifact_whose_maker_renews_late_stays_its_own(context: Context) -> None:
    archive_asked_for(context)
    with context.database.write() as connection:
        making = artifacts.claim(connection, "maker", LEASE)
        assert making is not None
        assert not artifacts.lose(connection, making, "lost", 2, is_expired=True)
        artifacts.renew(connection, making, timedelta(seconds=-1))
        assert artifacts.lose(connection, making, "lost", 2, is_expired=True)


def test_of_two_sweeps_one_takes_the_build(context: Context) -> None:
    build_id = handed_in(context, "python")
    lease = claimed(context)
    let_expire(context, lease)
    housekeeping.recover_expired(context)
    housekeeping.recover_expired(context)
    assert (found(context, build_id).status, found(context, build_id).attempt) == (BuildStatus.QUEUED, 1)
    assert log(context, build_id).count("trying again") == 1


def test_one_that_cannot_be_taken_up_keeps_no_other_from_it(context: Context) -> None:
    """Its leftovers cannot be moved away: another thing lies where they belong."""
    first, second = (handed_in(context, "python", name=name) for name in ("one", "two"))
    for _ in range(2):
        let_expire(context, claimed(context))
    context.deployment.trash_directory.parent.mkdir(parents=True)
    context.deployment.trash_directory.write_text("no directory")
    prefix = context.deployment.prefix("ns", found(context, first).key)
    context.deployment.staging(prefix, 1).mkdir(parents=True)
    housekeeping.recover_expired(context)
    asyncio.run(housekeeping.tidy_ended(context))
    assert {found(context, build_id).status for build_id in (first, second)} == {BuildStatus.QUEUED}


def test_one_who_lost_the_lease_does_not_touch_the_work_of_the_next(context: Context) -> None:
    build_id = handed_in(context, "python")
    late = claimed(context)
    with context.database.write() as connection:
        leases.queue_again(connection, late, timedelta(0), "lost")
    claimed(context)
    prefix = context.deployment.prefix("ns", found(context, build_id).key)
    staging = context.deployment.staging(prefix, 2)
    staging.mkdir(parents=True)
    asyncio.run(run_build(context, late))
    give_up(context, late, LOST)
    give_back(context, late)
    assert staging.is_dir()
    assert "starting build" not in log(context, build_id)


def test_a_build_given_back_leaves_nothing_behind(context: Context) -> None:
    build_id = handed_in(context, "python")
    lease = claimed(context)
    staging = context.deployment.staging(context.deployment.prefix("ns", found(context, build_id).key), 1)
    staging.mkdir(parents=True)
    give_back(context, lease)
    cancel_build(context, SYSTEM, build_id)
    assert not staging.exists()
    assert (found(context, build_id).status, found(context, build_id).attempt) == (BuildStatus.CANCELED, 0)


def test_a_retry_that_waits_for_room_does_not_call_again_and_again(context: Context) -> None:
    handed_in(context, "python")
    lease = claimed(context)
    with context.database.write() as connection:
        leases.queue_again(connection, lease, timedelta(seconds=-5), "failed")
    assert housekeeping.next_moment(context) == float("inf")


# --- cancelling ---------------------------------------------------------------------------------------------


class Interfering(FakeBuilder):
    """Does something else just before a build would complete."""

    def __init__(self, interfere) -> None:  # type: ignore[no-untyped-def]
        super().__init__()
        self.interfere = interfere

    async def install(self, request: InstallRequest, reporter: Reporter):  # type: ignore[no-untyped-def]
        installed = await super().install(request, reporter)
        self.interfere()
        return installed


def test_a_build_cancelled_as_it_completes_is_cancelled_at_once(context: Context) -> None:
    build_id = handed_in(context, "python")
    cancelling = with_builder(context, Interfering(lambda: cancel_build(context, SYSTEM, build_id)))
    build = run(cancelling, build_id)
    assert build.status is BuildStatus.CANCELED
    assert not Path(str(build.prefix)).exists()
    assert "marked as CANCELED" in log(context, build_id) and "build completed" not in log(context, build_id)


def test_a_cancelled_build_is_not_tried_again(context: Context) -> None:
    class Failing(Interfering):
        async def install(self, request: InstallRequest, reporter: Reporter):  # type: ignore[no-untyped-def]
            self.interfere()
            raise PackageUnavailable("the channel is away")

    build_id = handed_in(context, "python")
    build = run(with_builder(context, Failing(lambda: cancel_build(context, SYSTEM, build_id))), build_id)
    assert build.status is BuildStatus.CANCELED


def test_a_cancelled_build_is_not_given_back(context: Context) -> None:
    build_id = handed_in(context, "python")
    lease = claimed(context)
    cancel_build(context, SYSTEM, build_id)
    give_back(context, lease)
    assert found(context, build_id).status is BuildStatus.CANCELED
    assert "marked as CANCELED" in log(context, build_id)


def test_cancelling_twice_is_told_once(context: Context) -> None:
    build_id = handed_in(context, "python")
    for _ in range(2):
        cancel_build(context, SYSTEM, build_id)
    assert log(context, build_id).count("marked as CANCELED") == 1


def test_a_build_of_an_environment_deleted_meanwhile_ends_and_is_cleared_up(context: Context) -> None:
    handed_in(context, "python")
    lease = claimed(context)
    delete_environment(context, SYSTEM, "ns", "env")
    asyncio.run(run_build(context, lease))
    with context.database.read() as connection:
        assert not leases.standing(connection, lease).is_held
    purge_deleted(context)
    with context.database.read() as connection:
        assert connection.execute(build_table.select()).first() is None


def test_a_deleted_environment_is_not_rebuilt(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    delete_environment(context, SYSTEM, "ns", "env")
    handed_in(context, "python")
    with pytest.raises(NotFound):
        rebuild(context, SYSTEM, build.id)


# --- logs ---------------------------------------------------------------------------------------------------


def test_keeping_a_log_again_loses_nothing(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    before = log(context, build.id)
    keep_log(context, build.id)
    assert log(context, build.id) == before != ""


def test_lines_that_come_after_the_end_are_added(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    with context.database.write() as connection:
        logs.append(connection, build.id, "late\n")
    keep_log(context, build.id)
    assert "build completed" in log(context, build.id) and log(context, build.id).endswith("late\n")


def test_one_who_lost_the_lease_writes_no_log(context: Context) -> None:
    build_id = handed_in(context, "python")
    late = claimed(context)
    with context.database.write() as connection:
        leases.queue_again(connection, late, timedelta(0), "lost")
    reporter = BuildReporter(context.database, late)
    reporter.log("of the past")
    reporter.flush()
    assert log(context, build_id) == ""


def test_text_that_no_database_holds_is_logged_nevertheless(context: Context) -> None:
    class Odd(FakeBuilder):
        async def install(self, request: InstallRequest, reporter: Reporter):  # type: ignore[no-untyped-def]
            reporter.log("nul \0, half \udce4 a character")
            raise Interrupted("half \udce4")

    build_id = handed_in(context, "python")
    build = run(with_builder(context, Odd()), build_id)
    assert build.status is BuildStatus.QUEUED
    assert "nul" in log(context, build_id)


def test_what_could_not_be_written_is_written_later(context: Context) -> None:
    build_id = handed_in(context, "python")
    reporter = BuildReporter(context.database, claimed(context))
    reporter.log("first")
    reporter.progress(Progress(packages_done=1))
    if context.database.is_sqlite:
        with context.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE build_log RENAME TO elsewhere")
        with pytest.raises(Exception, match="build_log"):
            reporter.flush()
        with context.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO build_log")
    reporter.log("second")
    reporter.flush()
    assert log(context, build_id) == "first\nsecond\n"
    assert found(context, build_id).progress == Progress(packages_done=1).dump()


def test_that_it_cannot_be_written_is_told_once(context: Context) -> None:
    class Full:
        writes = 0
        was_tried = asyncio.Event()

        def write(self, **options: bool) -> Any:
            self.writes += 1
            if self.writes == 3:
                self.was_tried.set()
            raise Unavailable("the disk is full")

    async def three_times() -> None:
        reporter.log("first")
        reporter.start()
        await disk.was_tried.wait()
        await reporter.stop()

    handed_in(context, "python")
    disk = Full()
    reporter = BuildReporter(cast(Any, disk), claimed(context))
    with logged() as told:
        asyncio.run(asyncio.wait_for(three_times(), 20))
    assert [entry["event"] for entry in told] == ["log cannot be written yet", "end of a log is lost"]


# --- failures that pass -------------------------------------------------------------------------------------


@pytest.mark.parametrize("passing", [Unavailable("the database is busy"), StorageFailed("the storage is away")])
def test_what_is_away_for_a_moment_costs_an_attempt_only(context: Context, passing: Exception) -> None:
    class Once(FakeBuilder):
        async def install(self, request: InstallRequest, reporter: Reporter):  # type: ignore[no-untyped-def]
            if not self.calls["install"]:
                self.calls["install"] += 1
                raise passing
            return await super().install(request, reporter)

    once = with_builder(context, Once())
    build_id = handed_in(once, "python")
    assert run(once, build_id).status is BuildStatus.QUEUED
    assert run(once, build_id).status is BuildStatus.COMPLETED


class Fills(FakeBuilder):
    """Nothing can be written to the database any more once it installs."""

    def __init__(self, database: FullDatabase, failure: Exception | None = None) -> None:
        super().__init__()
        database.is_full = False
        self._database = database
        self._failure = failure

    async def install(self, request: InstallRequest, reporter: Reporter):  # type: ignore[no-untyped-def]
        self._database.is_full = True
        if self._failure is not None:
            raise self._failure
        return await super().install(request, reporter)


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (StorageFailed("the storage is full"), "the storage is full"),
        (OSError(errno.ENOSPC, "No space left", "/disk/file"), "no space left on the disk of /disk/file"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "no space left on the disk of STORE"),
        (None, "no space left on the disk of the database"),
    ],
)
def test_an_end_that_cannot_be_written_is_told_to_the_worker(
    context: Context, raised: Exception | None, reason: str
) -> None:
    database = FullDatabase(context.database)
    full = with_database(with_builder(context, Fills(database, raised)), database)
    build_id = handed_in(context, "python")
    outcome = asyncio.run(run_build(full, claimed(context)))
    outcome = pickle.loads(pickle.dumps(outcome))  # it goes through a pipe
    assert outcome.activated == ()
    assert outcome.failure is not None
    assert outcome.failure.message == reason.replace("STORE", str(context.deployment.store_directory))
    assert outcome.failure.transient
    assert isinstance(raised, StorageFailed) or outcome.failure.hint
    assert found(context, build_id).status is BuildStatus.BUILDING


def test_a_log_that_cannot_be_kept_does_not_fail_its_build(context: Context) -> None:
    class Away:
        def put(self, key: str, *arguments: object) -> StoredBlob:
            if key.startswith("logs/"):
                raise DiskFull("no room is left")
            return context.blobs.put(key, *arguments)  # type: ignore[arg-type]

        def __getattr__(self, name: str) -> Any:
            return getattr(context.blobs, name)

    build_id = handed_in(context, "python")
    away = replace(context, blobs=cast(Any, Away()))
    with logged() as told:
        assert asyncio.run(run_build(away, claimed(context))).failure is None
    assert [entry["event"] for entry in told] == ["log cannot be kept yet"]
    assert found(context, build_id).status is BuildStatus.COMPLETED
    assert housekeeping.has_untidied(context, [])
    assert not housekeeping.has_untidied(context, [build_id])
    asyncio.run(housekeeping.tidy_ended(context))
    assert not housekeeping.has_untidied(context, [])
    assert "build completed" in log(context, build_id)


def test_an_old_result_is_used_or_forgotten_as_a_whole(context: Context) -> None:
    """It is forgotten as soon as somebody has looked."""
    specification = context.builder.read(b"name: env\ndependencies: [python]\n", format=None, name=None)
    assert isinstance(specification, Specification)
    request = solve_request(context, specification, rules_in_force(context.database, context.deployment, "ns", "env"))
    lock = asyncio.run(solve_once(context, request))

    class Forgetting:
        @contextmanager
        def read(self) -> Iterator[Connection]:
            with context.database.read() as connection:
                yield connection
            with context.database.write() as connection:
                locks.forget_solves(connection, timedelta(0))

        def __getattr__(self, name: str) -> Any:
            return getattr(context.database, name)

    assert asyncio.run(solve_once(replace(context, database=cast(Any, Forgetting())), request)) == lock


def test_a_solve_that_took_too_long_is_not_remembered(context: Context) -> None:
    class Slow(FakeBuilder):
        async def solve(self, request: SolveRequest, reporter: Reporter) -> Lock:
            if not self.calls["solve"]:
                self.calls["solve"] += 1
                raise SolveTimedOut("No solution was found within 0 seconds")
            return await super().solve(request, reporter)

    slow = with_builder(context, Slow())
    build_id = handed_in(slow, "python")
    assert run(slow, build_id).status is BuildStatus.FAILED
    assert run(slow, rebuild(slow, SYSTEM, build_id)).status is BuildStatus.COMPLETED


def test_a_solve_whose_solver_was_lost_is_taken_on(context: Context) -> None:
    from tests.unit.services.test_run_build import request

    async def lost_and_asked_again() -> Lock:
        builder = context.builder
        key_owner = asyncio.create_task(solve_once(with_builder(context, Hanging()), request("python")))
        await asyncio.sleep(0.1)
        key_owner.cancel()
        await asyncio.gather(key_owner, return_exceptions=True)
        return await solve_once(with_builder(context, builder), request("python"))

    class Hanging(FakeBuilder):
        async def solve(self, request: SolveRequest, reporter: Reporter) -> Lock:
            await asyncio.sleep(600)
            raise AssertionError

    assert asyncio.run(asyncio.wait_for(lost_and_asked_again(), PATIENCE)).platforms


# --- links --------------------------------------------------------------------------------------------------


def set_linked(context: Context, build_id: int | None) -> None:
    with context.database.write() as connection:
        found_environment = environments.find(connection, "ns", "env")
        assert found_environment is not None
        environments.set_linked(connection, found_environment.id, build_id)


def test_a_link_set_by_one_who_was_killed_before_noting_it_goes_with_its_environment(context: Context) -> None:
    first = run(context, handed_in(context, "python"))
    run(context, rebuild(context, SYSTEM, first.id))
    set_linked(context, first.id)  # as if the second had not been noted
    delete_environment(context, SYSTEM, "ns", "env")
    purge_deleted(context)
    assert not link(context).is_symlink()


def test_deleting_a_chosen_build_before_it_is_linked_leaves_no_dangling_link(context: Context) -> None:
    first = run(context, handed_in(context, "python"))
    second = run(context, rebuild(context, SYSTEM, first.id))
    update_environment(context, SYSTEM, "ns", "env", build_id=first.id)  # no worker has linked it yet
    delete_build(context, SYSTEM, first.id)
    delete_build(context, SYSTEM, second.id)
    purge_deleted(context)
    assert not link(context).is_symlink()


def test_files_stay_as_long_as_a_link_that_cannot_be_changed_leads_to_them(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    envs = link(context).parent
    envs.rename(envs.with_name("elsewhere"))
    envs.write_text("no directory")
    replacement = run(context, rebuild(context, SYSTEM, build.id))
    delete_build(context, SYSTEM, build.id)
    purge_deleted(context)
    assert Path(str(build.prefix)).exists()
    envs.unlink()
    envs.with_name("elsewhere").rename(envs)
    purge_deleted(context)
    assert link(context).readlink() == Path(str(replacement.prefix))
    assert not Path(str(build.prefix)).exists()


def test_what_is_left_of_a_link_half_made_goes_with_the_next(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    set_linked(context, None)
    link(context).rename(link(context).with_name("%-env"))
    update_links(context)
    assert link(context).readlink() == Path(str(build.prefix))
    assert [path.name for path in link(context).parent.iterdir()] == ["env"]


# --- deleting -----------------------------------------------------------------------------------------------


def audited(context: Context) -> list[tuple[str, str, str | None, str | None, str]]:
    with context.database.read() as connection:
        rows = [record.entry for record in audit.after(connection, AuditFilter(actor=SYSTEM.name), 0, 100)]
    return [(row.actor, row.action, row.namespace, row.environment, row.detail) for row in rows]


def test_what_the_service_takes_away_is_in_the_audit_log(context: Context) -> None:
    """Each object, also those that go with what they are in; what was kept of a deleted build goes then, too."""
    first = run(context, handed_in(context, "python", name="one"))
    second = run(context, handed_in(context, "python", name="two"))
    delete_build(context, SYSTEM, first.id)
    purge_deleted(context)
    assert audited(context) == [("system", "build::purge", "ns", "one", f"build {first.id}")]
    delete_namespace(context, SYSTEM, "ns")
    purge_deleted(context)
    purge_deleted(context)
    told = audited(context)[1:]
    assert told[:4] == [
        ("system", *row)
        for name, build in (("one", first), ("two", second))
        for row in (("build::purge", "ns", name, f"build {build.id}"), ("environment::purge", "ns", name, ""))
    ]
    assert told[4:] == [("system", "namespace::purge", "ns", None, "")]


def test_a_build_that_cannot_be_cleared_up_keeps_no_other_from_it(context: Context) -> None:
    first, second = (run(context, handed_in(context, "python", name=name)) for name in ("one", "two"))
    for build in (first, second):
        delete_build(context, SYSTEM, build.id)
    with context.database.write() as connection:
        # what lies on another file system cannot be moved away
        connection.execute(update(build_table).where(build_table.c.id == first.id).values(prefix="/proc/version"))
    purge_deleted(context)
    with context.database.read() as connection:
        assert [item.build.id for item in builds.to_purge(connection)] == [first.id]
    assert not Path(str(second.prefix)).exists()


def test_whoever_takes_a_name_again_does_not_inherit_its_settings(context: Context) -> None:
    run(context, handed_in(context, "python"))
    update_settings(context, SYSTEM, {"conda_default_channels": ["private"]}, "ns", "env")
    update_settings(context, SYSTEM, {"conda_default_channels": ["other"]}, "ns", "env2")
    delete_environment(context, SYSTEM, "ns", "env")

    def channels(name: str) -> tuple[str, ...]:
        return effective_settings(context.database, context.deployment, "ns", name).conda_default_channels

    assert (channels("env"), channels("env2")) == (("conda-forge",), ("other",))


def test_an_artifact_asked_for_twice_is_made_once(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    with context.database.write() as connection:
        wanted = artifacts.find(connection, build.id, ArtifactType.CONDA_PACK)
        assert wanted is not None
        for _ in range(2):
            artifacts.request(connection, wanted.id)
        assert artifacts.claim(connection, "one", LEASE) is not None
        assert artifacts.claim(connection, "two", LEASE) is None
        again = artifacts.get(connection, wanted.id)
    assert again is not None and again.state is ArtifactState.MAKING


def test_a_log_whose_writer_was_killed_is_tidied_away_and_written_again(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    with context.database.read() as connection:
        kept = artifacts.find(connection, build.id, ArtifactType.LOGS)
    assert kept is not None
    whole = context.blobs.local_path(kept.key)
    assert whole is not None
    half = whole.with_name(f"{whole.name}#1")
    half.write_bytes(b"half")
    asyncio.run(housekeeping.tidy(context))
    assert half.exists(), "somebody may be writing it"
    os.utime(half, (0, 0))
    asyncio.run(housekeeping.tidy(context))
    assert (half.exists(), whole.exists()) == (False, True)
    with context.database.write() as connection:
        logs.append(connection, build.id, "late")
    asyncio.run(housekeeping.tidy_ended(context))
    assert log(context, build.id).endswith("late")
    assert whole.read_text().endswith("late")
