"""Whose turn it is: builds are claimed, kept and given up by single compare-and-set statements.

A worker that claims a build holds a lease until a moment (unix seconds) and renews it. Every later statement
carries the owner and the attempt number, so that one who lost the lease changes nothing any more.
Clocks of the machines are taken to agree within a few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select, update

from conda_store.db import builds, images, quotas
from conda_store.db.records import BuildRecord
from conda_store.db.tables import build
from conda_store.domain.build import BuildStatus, Phase, Progress


@dataclass(frozen=True)
class Lease:
    """The right to work on a build. It is lost as soon as `renew` says so."""

    build_id: int
    owner: str
    attempt: int


def claim(connection: Connection, owner: str, duration: timedelta, limits: quotas.Limits | None = None) -> Lease | None:
    """Take the oldest build that waits and whose time has come; None when there is none.

    Builds of namespaces that have as many running as they may go on waiting. That others are not claimed at the same
    moment beyond the limit is due to the write lock of the transaction.
    """
    now = time.time()
    waiting = select(build.c.id).where(*_is_due(now))
    if limits is not None and (held := quotas.environments_that_wait(limits)) is not None:
        waiting = waiting.where(build.c.environment_id.not_in(held))
    candidate = waiting.order_by(build.c.id).limit(1).with_for_update(skip_locked=True, of=build).scalar_subquery()
    row = connection.execute(
        update(build)
        .where(build.c.id == candidate, build.c.status == BuildStatus.QUEUED)
        .values(
            status=BuildStatus.BUILDING,
            owner=owner,
            lease_until=now + duration.total_seconds(),
            attempt=build.c.attempt + 1,
            started_on=func.coalesce(build.c.started_on, datetime.now(UTC)),
            status_info=None,
        )
        .returning(build.c.id, build.c.attempt)
    ).one_or_none()
    return Lease(row.id, owner, row.attempt) if row else None


def _is_due(now: float) -> tuple[ColumnElement[bool], ...]:
    return build.c.status == BuildStatus.QUEUED, build.c.not_before <= now, build.c.deleted_on.is_(None)


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(
        build.c.id == lease.build_id,
        build.c.status == BuildStatus.BUILDING,
        build.c.owner == lease.owner,
        build.c.attempt == lease.attempt,
    )


@dataclass(frozen=True)
class Standing:
    """What a worker learns when it renews: whether it still holds the lease, and whether to stop."""

    is_held: bool
    is_cancelled: bool


def renew(connection: Connection, lease: Lease, duration: timedelta) -> Standing:
    row = connection.execute(
        update(build)
        .where(_held(lease))
        .values(lease_until=time.time() + duration.total_seconds())
        .returning(build.c.cancel_requested, build.c.deleted_on)
    ).one_or_none()
    return _standing(row)


def standing(connection: Connection, lease: Lease) -> Standing:
    """As `renew`, but only looks."""
    row = connection.execute(select(build.c.cancel_requested, build.c.deleted_on).where(_held(lease))).one_or_none()
    return _standing(row)


def _standing(row: Any) -> Standing:
    if row is None:
        return Standing(is_held=False, is_cancelled=False)
    return Standing(is_held=True, is_cancelled=row.cancel_requested or row.deleted_on is not None)


def hold(connection: Connection, lease: Lease) -> bool:
    """Whether the lease is held; until the transaction ends nobody can take it."""
    return connection.execute(select(build.c.id).where(_held(lease)).with_for_update()).first() is not None


def note(connection: Connection, lease: Lease, values: Mapping[str, Any]) -> bool:
    """Write down something about the build being worked on (progress, prefix, lock_digest)."""
    return connection.execute(update(build).where(_held(lease)).values(**values)).rowcount == 1


def complete(connection: Connection, lease: Lease, *, size: int, shared_size: int | None = None) -> bool:
    """BUILDING → COMPLETED. False when the lease is lost or somebody cancelled: then nothing changed."""
    changed = connection.execute(
        update(build)
        .where(_held(lease), build.c.cancel_requested.is_(False), build.c.deleted_on.is_(None))
        .values(
            status=BuildStatus.COMPLETED,
            ended_on=datetime.now(UTC),
            size=size,
            shared_size=shared_size,
            status_info=None,
            owner=None,
            lease_until=None,
            progress=Progress(Phase.ENDED).dump(),
        )
    )
    return changed.rowcount == 1


def end(connection: Connection, lease: Lease, status: BuildStatus, reason: str) -> bool:
    """BUILDING → FAILED or CANCELED, with the reason."""
    return _left(connection, lease, _ending(status, reason))


def queue_again(connection: Connection, lease: Lease, delay: timedelta, reason: str) -> bool:
    """BUILDING → QUEUED, not before `delay` has passed."""
    return _left(connection, lease, _waiting(delay, reason))


def _left(connection: Connection, lease: Lease, values: Mapping[str, Any]) -> bool:
    """The attempt has come to nothing: nor is there an image of it."""
    if connection.execute(update(build).where(_held(lease)).values(**values)).rowcount == 0:
        return False
    images.withdraw(connection, lease.build_id)
    return True


def _ending(status: BuildStatus, reason: str) -> dict[str, Any]:
    return {
        "status": status,
        "status_info": reason,
        "ended_on": datetime.now(UTC),
        "owner": None,
        "lease_until": None,
        "progress": Progress(Phase.ENDED).dump(),
    }


def _waiting(delay: timedelta, reason: str) -> dict[str, Any]:
    return {
        "status": BuildStatus.QUEUED,
        "status_info": reason,
        "not_before": time.time() + delay.total_seconds(),
        "owner": None,
        "lease_until": None,
        "progress": Progress().dump(),
    }


def expired(connection: Connection) -> tuple[tuple[Lease, BuildRecord], ...]:
    """Builds whose worker no longer renews."""
    query = builds.columns().where(build.c.status == BuildStatus.BUILDING, build.c.lease_until < time.time())
    return tuple((Lease(row.id, row.owner, row.attempt), builds.record(row)) for row in connection.execute(query))


def seize(connection: Connection, lease: Lease, owner: str, duration: timedelta, *, is_expired: bool) -> Lease | None:
    """Take a build from a worker that is lost, to end it or queue it again: the attempt stays the same.

    None when somebody else was quicker or, with `is_expired`, when its worker has renewed the lease meanwhile.
    """
    now = time.time()
    query = update(build).where(_held(lease)).values(owner=owner, lease_until=now + duration.total_seconds())
    if is_expired:
        query = query.where(build.c.lease_until < now)
    return replace(lease, owner=owner) if connection.execute(query).rowcount == 1 else None


def owned_by_host(connection: Connection, prefix: str) -> tuple[tuple[Lease, BuildRecord], ...]:
    """Builds that workers are at whose owner's name begins like this."""
    theirs = build.c.owner.startswith(prefix, autoescape=True)
    query = builds.columns().where(build.c.status == BuildStatus.BUILDING, theirs)
    return tuple((Lease(row.id, row.owner, row.attempt), builds.record(row)) for row in connection.execute(query))


def has_due(connection: Connection) -> bool:
    """Whether a build waits whose time has come."""
    query = select(build.c.id).where(*_is_due(time.time()))
    return connection.execute(query.limit(1)).first() is not None


def release(connection: Connection, lease: Lease) -> bool:
    """BUILDING → QUEUED because the worker is told to stop: it does not count as an attempt."""
    values = {**_waiting(timedelta(0), "the worker was stopped"), "attempt": lease.attempt - 1}
    return _left(connection, lease, values)


def request_cancel(connection: Connection, build_id: int) -> tuple[BuildStatus | None, bool]:
    """Cancel a waiting build at once, ask for the end of a running one.

    Returns the status now, None if there is no such build, and whether it has been cancelled by this very call.
    """
    cancelled = connection.execute(
        update(build)
        .where(build.c.id == build_id, build.c.status == BuildStatus.QUEUED)
        .values(**_ending(BuildStatus.CANCELED, "canceled before it began"), cancel_requested=True)
    )
    if cancelled.rowcount == 1:
        return BuildStatus.CANCELED, True
    connection.execute(
        update(build)
        .where(build.c.id == build_id, build.c.status == BuildStatus.BUILDING)
        .values(cancel_requested=True)
    )
    return connection.execute(select(build.c.status).where(build.c.id == build_id)).scalar_one_or_none(), False


def next_moment(connection: Connection) -> float | None:
    """When something will be due without anybody changing the database: a retry, or the end of a lease.

    A retry that has been due for a second waits for room: that is noticed when a build ends.
    """
    retry = select(func.min(build.c.not_before)).where(
        build.c.status == BuildStatus.QUEUED, build.c.not_before > time.time() - 1, build.c.deleted_on.is_(None)
    )
    loss = select(func.min(build.c.lease_until)).where(build.c.status == BuildStatus.BUILDING)
    moments = [connection.execute(query).scalar_one_or_none() for query in (retry, loss)]
    return min((moment for moment in moments if moment is not None), default=None)
