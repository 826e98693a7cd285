"""Builds, as they are listed and shown. Whose turn it is to work on one is in `leases`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, exists, func, insert, or_, select, update

from conda_store.db.artifacts import count_with_artifact, has_artifact
from conda_store.db.kept import once
from conda_store.db.packages import has_all_packages
from conda_store.db.paging import Page, PageRequest, count_of, fetch_page
from conda_store.db.records import BuildGlance, BuildRecord, EnvironmentRecord, SpecificationRecord
from conda_store.db.tables import build, build_artifact, build_log, environment, namespace
from conda_store.db.visibility import environments_readable_by, readable_patterns, reads_everything
from conda_store.domain.access import Actor
from conda_store.domain.artifact import ArtifactState, ArtifactType
from conda_store.domain.build import BuildOrigin, BuildStatus, Progress, build_key

_SORTABLE: dict[str, list[ColumnElement[Any]]] = {
    "id": [],
    "started_on": [build.c.started_on],
    "scheduled_on": [build.c.scheduled_on],
    "ended_on": [build.c.ended_on],
}


@dataclass(frozen=True)
class BuildFilter:
    """All that are given must hold."""

    status: BuildStatus | None = None
    packages: tuple[str, ...] = ()
    artifact: ArtifactType | None = None
    environment_id: int | None = None
    name: str | None = None
    namespace: str | None = None


@cache
def columns() -> Select[Any]:
    """Put together once, since that takes longer than asking."""
    return (
        select(build, namespace.c.name.label("namespace_name"), environment.c.name.label("environment_name"))
        .join(environment, environment.c.id == build.c.environment_id)
        .join(namespace, namespace.c.id == environment.c.namespace_id)
    )


def record(row: Any) -> BuildRecord:
    return BuildRecord(
        id=row.id,
        specification_id=row.specification_id,
        environment_id=row.environment_id,
        namespace=row.namespace_name,
        environment=row.environment_name,
        status=row.status,
        status_info=row.status_info,
        size=row.size,
        scheduled_on=row.scheduled_on,
        started_on=row.started_on,
        ended_on=row.ended_on,
        deleted_on=row.deleted_on,
        build_key_version=row.build_key_version,
        key=row.key,
        prefix=row.prefix,
        lock_digest=row.lock_digest,
        progress=row.progress,
        attempt=row.attempt,
        owner=row.owner,
        cancel_requested=row.cancel_requested,
        submitted_by=row.submitted_by,
        origin=BuildOrigin(row.origin),
        shared_size=row.shared_size,
        has_plain_image=row.has_plain_image,
    )


def create(
    connection: Connection,
    in_environment: EnvironmentRecord,
    specification: SpecificationRecord,
    now: datetime,
    key_version: int,
    submitted_by: str | None = None,
    origin: BuildOrigin = BuildOrigin.SUBMITTED,
) -> int:
    """Queue a build; returns its id."""
    values = {
        "specification_id": specification.id,
        "environment_id": in_environment.id,
        "status": BuildStatus.QUEUED,
        "scheduled_on": now,
        "build_key_version": key_version,
        "progress": Progress().dump(),
        "submitted_by": submitted_by,
        "origin": origin.value,
    }
    build_id: int = connection.execute(insert(build).values(**values).returning(build.c.id)).scalar_one()
    key = build_key(
        key_version,
        sha256=specification.sha256,
        scheduled_on=now,
        build_id=build_id,
        name=in_environment.name,
        namespace=in_environment.namespace.name,
    )
    connection.execute(update(build).where(build.c.id == build_id).values(key=key))
    return build_id


_OF_LIVE_ENVIRONMENT = columns().where(environment.c.deleted_on.is_(None))
_GET = _OF_LIVE_ENVIRONMENT.where(build.c.id == bindparam("wanted"))
_BY_KEY = _OF_LIVE_ENVIRONMENT.where(build.c.key == bindparam("wanted"))


def get(connection: Connection, build_id: int) -> BuildRecord | None:
    """A build of an environment that still exists; deleted builds included."""
    row = connection.execute(_GET, {"wanted": build_id}).one_or_none()
    return record(row) if row else None


def glances(connection: Connection, build_ids: Sequence[int]) -> tuple[BuildGlance, ...]:
    """What changes while builds run, of all of them at once; none of those that were deleted before they ended."""
    last = select(func.max(build_log.c.sequence)).where(build_log.c.build_id == build.c.id).scalar_subquery()
    query = select(build.c.id, build.c.status, build.c.status_info, build.c.progress, func.coalesce(last, 0)).where(
        build.c.id.in_(build_ids),
        or_(build.c.deleted_on.is_(None), build.c.status.in_([status for status in BuildStatus if status.has_ended])),
    )
    return tuple(BuildGlance(*row) for row in connection.execute(query))


def by_key(connection: Connection, key: str) -> BuildRecord | None:
    row = connection.execute(_BY_KEY, {"wanted": key}).one_or_none()
    return record(row) if row else None


def list_readable(connection: Connection, actor: Actor, wanted: BuildFilter, request: PageRequest) -> Page[BuildRecord]:
    """A page of ids first, by indexes alone, then their rows."""
    conditions = _conditions(connection, wanted)
    is_whole = reads_everything(actor) and not wanted.name and not wanted.namespace
    seen = _visible_to_all() if is_whole else build.c.environment_id.in_(_environments(actor, wanted))
    query = select(build.c.id).where(*conditions, seen)
    count = once(
        connection,
        ("builds", readable_patterns(actor), wanted),
        lambda: _count_all(connection, wanted, conditions) if is_whole else count_of(connection, query),
    )
    ids = fetch_page(connection, _id, query, request, _SORTABLE, ["id"], tie=build.c.id, count=count)
    found = by_ids(connection, ids.rows)
    return Page(tuple(found[key] for key in ids.rows if key in found), ids.page, ids.size, ids.count)


def _id(row: Any) -> int:
    return int(row.id)


def by_ids(connection: Connection, ids: Sequence[int]) -> dict[int, BuildRecord]:
    if not ids:
        return {}
    return {row.id: record(row) for row in connection.execute(columns().where(build.c.id.in_(ids)))}


def _conditions(connection: Connection, wanted: BuildFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.status:
        conditions.append(build.c.status == wanted.status)
    if wanted.environment_id is not None:
        conditions.append(build.c.environment_id == wanted.environment_id)
    if wanted.artifact:
        conditions.append(has_artifact(connection, build.c.id, wanted.artifact))
    if wanted.packages:
        conditions.append(has_all_packages(build.c.id, wanted.packages))
    return conditions


def deleted_environments() -> Select[Any]:
    return select(environment.c.id).where(environment.c.deleted_on.is_not(None))


def _visible_to_all() -> ColumnElement[bool]:
    return build.c.environment_id.not_in(deleted_environments())


def _environments(actor: Actor, wanted: BuildFilter) -> Select[Any]:
    query = (
        select(environment.c.id)
        .join(namespace, namespace.c.id == environment.c.namespace_id)
        .where(environment.c.deleted_on.is_(None), environments_readable_by(actor))
    )
    if wanted.name:
        query = query.where(environment.c.name == wanted.name)
    if wanted.namespace:
        query = query.where(namespace.c.name == wanted.namespace)
    return query


def _count_all(connection: Connection, wanted: BuildFilter, conditions: list[ColumnElement[bool]]) -> int:
    """All builds less those of deleted environments, which are few: both are counted in indexes."""
    if wanted.artifact and len(conditions) == 1:
        query = count_with_artifact(wanted.artifact)
    else:
        query = select(func.count()).select_from(build).where(*conditions)
    count: int = connection.execute(query).scalar_one()
    deleted = connection.execute(deleted_environments().limit(1)).first()
    if deleted is None:
        return count
    hidden = select(func.count()).select_from(build).where(~_visible_to_all(), *conditions)
    return count - int(connection.execute(hidden).scalar_one())


def mark_deleted(connection: Connection, build_id: int, now: datetime) -> None:
    connection.execute(update(build).where(build.c.id == build_id).values(deleted_on=now))


@dataclass(frozen=True)
class DeletedBuild:
    """A build to clear up after; all of it goes when its environment is gone too."""

    build: BuildRecord
    is_environment_deleted: bool


_TO_PURGE = (
    build.c.deleted_on.is_not(None),
    build.c.purged_on.is_(None),
    build.c.status != BuildStatus.BUILDING,
    build.c.id.not_in(select(build_artifact.c.build_id).where(build_artifact.c.state == ArtifactState.MAKING)),
)


def to_purge(connection: Connection, after: int = 0, limit: int = 20) -> tuple[DeletedBuild, ...]:
    """Deleted builds of which files are left, behind the id `after`, unless a worker is still busy with one, or a
    symlink may still lead to it."""
    number = build.c.id + 0  # so that the few deleted ones are sorted, not all builds walked through by id
    linked = environment.c.linked_build_id
    query = (
        columns()
        .add_columns(environment.c.deleted_on.label("environment_deleted_on"))
        .where(
            *_TO_PURGE,
            number > after,
            or_(linked.is_(None), build.c.id.not_in([linked, environment.c.current_build_id])),
        )
        .order_by(number)
        .limit(limit)
    )
    return tuple(DeletedBuild(record(row), row.environment_deleted_on is not None) for row in connection.execute(query))


def has_deleted(connection: Connection) -> bool:
    """Whether there is a deleted build to clear up after."""
    return connection.execute(select(build.c.id).where(*_TO_PURGE).limit(1)).first() is not None


def hold(connection: Connection, build_id: int) -> bool:
    """Whether the build is there and has not been cleared up; until the transaction ends nobody can."""
    query = select(build.c.id).where(build.c.id == build_id, build.c.purged_on.is_(None)).with_for_update()
    return connection.execute(query).first() is not None


def set_purged(connection: Connection, build_id: int, now: datetime) -> None:
    connection.execute(update(build).where(build.c.id == build_id).values(purged_on=now, size=0))


def remove_emptied(connection: Connection, environment_id: int | None = None) -> tuple[tuple[str, str | None], ...]:
    """Take away the rows of deleted environments, all or this one, and of namespaces whose builds are all cleared up:
    which they were, of a namespace without an environment."""
    unpurged = select(build.c.id).where(build.c.purged_on.is_(None), build.c.environment_id == environment.c.id)
    emptied = and_(environment.c.deleted_on.is_not(None), environment.c.linked_build_id.is_(None), ~exists(unpurged))
    if environment_id is not None:
        emptied &= environment.c.id == environment_id
    names = select(namespace.c.name, environment.c.name).join_from(environment, namespace).where(emptied)
    found: list[tuple[str, str | None]] = [(row[0], row[1]) for row in connection.execute(names)]
    connection.execute(environment.delete().where(emptied))
    empty = namespace.c.deleted_on.is_not(None) & namespace.c.id.not_in(select(environment.c.namespace_id))
    gone = connection.execute(namespace.delete().where(empty).returning(namespace.c.name))
    return (*found, *((name, None) for (name,) in gone))


def count_by_status(connection: Connection) -> dict[BuildStatus, int]:
    """Without the builds of deleted environments; both are counted in indexes."""
    query = select(build.c.status, func.count()).group_by(build.c.status)
    counts: dict[BuildStatus, int] = {row[0]: row[1] for row in connection.execute(query)}
    if connection.execute(deleted_environments().limit(1)).first() is not None:
        for status, count in connection.execute(query.where(~_visible_to_all())):
            counts[status] -= count
    return {status: count for status, count in counts.items() if count}


def count_before(connection: Connection, build_id: int) -> int:
    """How many builds wait that were submitted before this one."""
    query = select(func.count()).where(
        build.c.status == BuildStatus.QUEUED, build.c.id < build_id, build.c.deleted_on.is_(None)
    )
    return connection.execute(query).scalar_one()


def count_since(connection: Connection, namespace_name: str, moment: datetime) -> int:
    """How many builds of a namespace were submitted since then."""
    query = (
        select(func.count())
        .select_from(build)
        .join(environment, environment.c.id == build.c.environment_id)
        .join(namespace, namespace.c.id == environment.c.namespace_id)
        .where(namespace.c.name == namespace_name, build.c.scheduled_on >= moment)
    )
    return int(connection.execute(query).scalar_one())


def by_owner(connection: Connection) -> dict[str, tuple[int, ...]]:
    """The builds that are being worked on, by who does."""
    query = select(build.c.owner, build.c.id).where(build.c.status == BuildStatus.BUILDING).order_by(build.c.id)
    found: dict[str, tuple[int, ...]] = {}
    for owner, build_id in connection.execute(query):
        if owner is not None:
            found[owner] = (*found.get(owner, ()), build_id)
    return found
