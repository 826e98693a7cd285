"""Which locks stay, and which nobody needs any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update

from conda_store.db import locks
from conda_store.db.engine import Database
from conda_store.db.tables import build, environment, lock, namespace, solve, specification
from conda_store.domain.build import BuildStatus
from conda_store.domain.lock import Lock, PlatformLock
from conda_store.domain.platform import Platform

WEEK = timedelta(days=7)


def content(*options: str) -> Lock:
    return Lock(("https://channel.example",), (PlatformLock(Platform.LINUX_64),), pip_options=options)


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(lock)).scalar_one())


def forget(database: Database) -> None:
    with database.write() as connection:
        locks.forget_solves(connection, WEEK)


def age(database: Database, duration: timedelta) -> None:
    then = datetime.now(UTC) - duration
    with database.write() as connection:
        connection.execute(update(lock).values(created_on=then))
        connection.execute(update(solve).values(created_on=then))


def built(database: Database, digest: str) -> None:
    now = datetime.now(UTC)
    with database.write() as connection:
        connection.execute(namespace.insert().values(id=1, name="ns", metadata_={}))
        connection.execute(
            specification.insert().values(id=1, name="e", spec={}, sha256="0" * 64, created_on=now, is_lockfile=False)
        )
        connection.execute(environment.insert().values(id=1, namespace_id=1, name="e"))
        connection.execute(
            build.insert().values(
                id=1, specification_id=1, environment_id=1, key="k", status=BuildStatus.COMPLETED, scheduled_on=now,
                build_key_version=2, prefix="/p", lock_digest=digest,
            )
        )  # fmt: skip


def test_the_lock_of_a_build_stays_for_ever(database: Database) -> None:
    with database.write() as connection:
        kept = locks.store(connection, content("--trusted-host a"))
        locks.store(connection, content())
    built(database, kept)
    age(database, timedelta(days=4000))
    forget(database)
    assert count(database) == 1
    with database.read() as connection:
        assert locks.load(connection, kept) == content("--trusted-host a")


def test_the_lock_of_a_solve_goes_with_it(database: Database) -> None:
    with database.write() as connection:
        digest = locks.store(connection, content())
        locks.begin_solve(connection, "key", "me", timedelta(seconds=30))
        locks.end_solve(connection, "key", "me", lock_digest=digest, error=None)
    age(database, timedelta(days=6))
    forget(database)
    assert count(database) == 1
    age(database, timedelta(days=8))
    forget(database)
    assert count(database) == 0


def test_a_lock_that_was_found_again_is_young(database: Database) -> None:
    """Its build is about to refer to it."""
    with database.write() as connection:
        locks.store(connection, content())
    age(database, timedelta(days=8))
    with database.write() as connection:
        locks.store(connection, content())
    forget(database)
    assert count(database) == 1
