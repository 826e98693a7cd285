"""What lists of environments show besides the environments: their builds and what these have left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, func, or_, select

from conda_store.db.tables import build, build_artifact, environment, namespace
from conda_store.domain.artifact import ArtifactState, ArtifactType
from conda_store.domain.build import BuildStatus


def newest_builds(connection: Connection, environment_ids: Sequence[int]) -> dict[int, int]:
    """The id of the newest build of each environment, deleted ones left out."""
    if not environment_ids:
        return {}
    query = (
        select(build.c.environment_id, func.max(build.c.id))
        .where(build.c.environment_id.in_(environment_ids), build.c.deleted_on.is_(None))
        .group_by(build.c.environment_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def newest_build(connection: Connection, environment_id: int) -> int:
    """The id of the newest build of an environment, 0 for none."""
    return newest_builds(connection, [environment_id]).get(environment_id, 0)


def offered_artifacts(connection: Connection, build_ids: Sequence[int]) -> dict[int, frozenset[ArtifactType]]:
    """The kinds of artifacts that each build has, or will have when asked for."""
    if not build_ids:
        return {}
    query = select(build_artifact.c.build_id, build_artifact.c.artifact_type).where(
        build_artifact.c.build_id.in_(build_ids), build_artifact.c.state != ArtifactState.FAILED
    )
    found: dict[int, set[ArtifactType]] = {}
    for build_id, kind in connection.execute(query):
        found.setdefault(build_id, set()).add(kind)
    return {build_id: frozenset(kinds) for build_id, kinds in found.items()}


def owners(connection: Connection, environment_ids: Sequence[int]) -> dict[int, str]:
    """Who submitted the first build of each environment, where that is known."""
    if not environment_ids:
        return {}
    first = (
        select(func.min(build.c.id)).where(build.c.environment_id.in_(environment_ids)).group_by(build.c.environment_id)
    )
    query = select(build.c.environment_id, build.c.submitted_by).where(build.c.id.in_(first))
    return {row[0]: row[1] for row in connection.execute(query) if row[1]}


@dataclass(frozen=True)
class DayOfBuilds:
    """How many builds ended on a day (UTC) with a status."""

    day: date
    status: BuildStatus
    count: int


def builds_by_day(connection: Connection, since: datetime) -> tuple[DayOfBuilds, ...]:
    """Of all builds that ended since, those of deleted environments included."""
    day = func.date(build.c.ended_on)
    query = select(day, build.c.status, func.count()).where(build.c.ended_on >= since).group_by(day, build.c.status)
    return tuple(DayOfBuilds(date.fromisoformat(str(row[0])), row[1], row[2]) for row in connection.execute(query))


def oldest_waiting(connection: Connection) -> datetime | None:
    """When the build that waits longest was submitted."""
    query = select(func.min(build.c.scheduled_on)).where(build.c.status == BuildStatus.QUEUED)
    oldest: datetime | None = connection.execute(query).scalar_one()
    return oldest


@dataclass(frozen=True)
class Wait:
    """That a build waited for a worker; `end` None while it does."""

    start: datetime
    end: datetime | None


def waits(connection: Connection, since: datetime) -> tuple[Wait, ...]:
    """The waits that lasted into the time since, those of deleted environments included."""
    query = select(build.c.scheduled_on, build.c.started_on, build.c.ended_on, build.c.status).where(
        or_(build.c.scheduled_on >= since, build.c.started_on >= since, build.c.status == BuildStatus.QUEUED)
    )
    return tuple(
        Wait(row.scheduled_on, None if row.status is BuildStatus.QUEUED else row.started_on or row.ended_on)
        for row in connection.execute(query)
    )


def bytes_by_namespace(connection: Connection) -> dict[str, int]:
    """What the builds of each namespace hold, shared files counted in each."""
    held = (
        select(build.c.environment_id, func.sum(build.c.size).label("size")).group_by(build.c.environment_id).subquery()
    )
    query = (
        select(namespace.c.name, func.coalesce(func.sum(held.c.size), 0))
        .select_from(held)
        .join(environment, environment.c.id == held.c.environment_id)
        .join(namespace, namespace.c.id == environment.c.namespace_id)
        .where(environment.c.deleted_on.is_(None))
        .group_by(namespace.c.name)
    )
    return {row[0]: int(row[1]) for row in connection.execute(query)}
