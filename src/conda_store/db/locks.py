"""Locks by digest, and which solve gave which lock."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from conda_store.db.tables import build, lock, solve
from conda_store.domain.lock import Lock, load_lock


def store(connection: Connection, content: Lock) -> str:
    """Keep a lock, for the first time or once more; returns its digest."""
    digest, now = content.digest, datetime.now(UTC)
    if connection.execute(update(lock).where(lock.c.digest == digest).values(created_on=now)).rowcount == 0:
        connection.execute(insert(lock).values(digest=digest, content=zlib.compress(content.dump(), 1), created_on=now))
    return digest


def load(connection: Connection, digest: str) -> Lock:
    content = connection.execute(select(lock.c.content).where(lock.c.digest == digest)).scalar_one()
    return load_lock(zlib.decompress(content))


@dataclass(frozen=True)
class SolveTicket:
    """What is known of a solve: its lock, its error, that it is ours to do (`is_mine`), or that another is at it."""

    lock_digest: str | None
    error: str | None
    is_mine: bool


def find_solve(connection: Connection, key: str) -> SolveTicket | None:
    """The result of a solve, or that another does it at this moment; None where it is to be taken on."""
    row = connection.execute(select(solve).where(solve.c.key == key)).one_or_none()
    if row is None or (not row.lock_digest and not row.error and row.lease_until < time.time()):
        return None
    return SolveTicket(row.lock_digest, row.error, False)


def begin_solve(connection: Connection, key: str, owner: str, duration: timedelta) -> SolveTicket:
    """Find the result of a solve, or whether another does it at this moment, or take it on."""
    if (found := find_solve(connection, key)) is not None:
        return found
    values = {"owner": owner, "lease_until": time.time() + duration.total_seconds()}
    if connection.execute(update(solve).where(solve.c.key == key).values(**values)).rowcount == 0:
        connection.execute(insert(solve).values(key=key, created_on=datetime.now(UTC), **values))
    return SolveTicket(None, None, True)


def renew_solve(connection: Connection, key: str, owner: str, duration: timedelta) -> None:
    until = time.time() + duration.total_seconds()
    connection.execute(update(solve).where(solve.c.key == key, solve.c.owner == owner).values(lease_until=until))


def end_solve(connection: Connection, key: str, owner: str, *, lock_digest: str | None, error: str | None) -> None:
    """Write the result down; with neither, the solve is given up for the next one to take on."""
    mine = (solve.c.key == key, solve.c.owner == owner)
    if lock_digest is None and error is None:
        connection.execute(delete(solve).where(*mine))
    else:
        connection.execute(update(solve).where(*mine).values(lock_digest=lock_digest, error=error))


def forget_solves(connection: Connection, older_than: timedelta) -> None:
    """Drop results that nobody is likely to ask for again: the channels have moved on.

    Locks that neither a build nor a result refers to go along; young ones stay, whose solve may still be under way.
    """
    now = datetime.now(UTC)
    connection.execute(delete(solve).where(solve.c.created_on < now - older_than))
    connection.execute(
        delete(lock).where(
            lock.c.created_on < now - older_than,
            lock.c.digest.not_in(select(build.c.lock_digest).where(build.c.lock_digest.is_not(None))),
            lock.c.digest.not_in(select(solve.c.lock_digest).where(solve.c.lock_digest.is_not(None))),
        )
    )
