"""Environments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, case, func, insert, or_, select, update

from conda_store.db.artifacts import has_artifact
from conda_store.db.kept import once
from conda_store.db.packages import has_all_packages
from conda_store.db.paging import (
    END_CURSOR,
    Cursor,
    KeysetPage,
    Page,
    PageRequest,
    after,
    count_of,
    directed,
    fetch_page,
)
from conda_store.db.records import EnvironmentRecord, NamespaceRecord
from conda_store.db.search import meets, search_text
from conda_store.db.tables import build, environment, namespace
from conda_store.db.visibility import environments_readable_by, holds, readable_patterns
from conda_store.domain.access import Actor
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.build import BuildStatus
from conda_store.domain.search import SearchTerm
from conda_store.errors import InvalidInput

_SORTABLE: dict[str, list[ColumnElement[Any]]] = {
    "namespace": [namespace.c.name],
    "name": [environment.c.name],
}
SORTABLE = tuple(_SORTABLE)
# so many pages are many
_MANY = 10
# characters
LONGEST_DESCRIPTION = 10_000


@dataclass(frozen=True)
class EnvironmentFilter:
    """All that are given must hold; status, packages and artifact are those of the current build.

    `also_readable_by` leaves what this other actor may read, too.
    """

    search: str | None = None
    namespace: str | None = None
    name: str | None = None
    status: BuildStatus | None = None
    packages: tuple[str, ...] = ()
    artifact: ArtifactType | None = None
    also_readable_by: Actor | None = None
    terms: tuple[SearchTerm, ...] = ()


@cache
def _columns(*, is_in_order: bool = False) -> Select[Any]:
    """Put together once, since that takes longer than asking. `is_in_order`: SQLite goes through the namespaces by
    name, and so has the rows in order; a sum cannot be looked up the other way round."""
    home = namespace.c.id + 0 if is_in_order else namespace.c.id
    current = build.alias()
    return select(
        environment.c.id,
        environment.c.name,
        environment.c.current_build_id,
        environment.c.description,
        environment.c.activation_floor,
        environment.c.linked_build_id,
        select(current.c.status)
        .where(current.c.id == environment.c.current_build_id)
        .scalar_subquery()
        .label("status"),
        namespace.c.id.label("namespace_id"),
        namespace.c.name.label("namespace_name"),
        namespace.c.metadata_,
    ).join_from(environment, namespace, environment.c.namespace_id == home)


def _record(row: Any) -> EnvironmentRecord:
    return EnvironmentRecord(
        id=row.id,
        namespace=NamespaceRecord(row.namespace_id, row.namespace_name, row.metadata_ or {}),
        name=row.name,
        current_build_id=row.current_build_id,
        description=row.description,
        activation_floor=row.activation_floor,
        linked_build_id=row.linked_build_id,
        status=row.status,
    )


_FIND = _columns().where(
    namespace.c.name == bindparam("namespace_name"),
    environment.c.name == bindparam("environment_name"),
    environment.c.deleted_on.is_(None),
    namespace.c.deleted_on.is_(None),
)


def find(connection: Connection, namespace_name: str, name: str) -> EnvironmentRecord | None:
    names = {"namespace_name": namespace_name, "environment_name": name}
    row = connection.execute(_FIND, names).one_or_none()
    return _record(row) if row else None


def _checked(description: str | None) -> str | None:
    """
    Raises:
        InvalidInput: it is longer than what lists can show.
    """
    if description is not None and len(description) > LONGEST_DESCRIPTION:
        raise InvalidInput(
            f"the description of {len(description)} characters is too long",
            hint=f"Write {LONGEST_DESCRIPTION} at most: every list has it.",
        )
    return description


def create(
    connection: Connection, in_namespace: NamespaceRecord, name: str, description: str | None
) -> EnvironmentRecord:
    created = connection.execute(
        insert(environment)
        .values(
            namespace_id=in_namespace.id,
            name=name,
            description=_checked(description),
            search_text=search_text(in_namespace.name, name, description),
        )
        .returning(environment.c.id)
    )
    return EnvironmentRecord(created.scalar_one(), in_namespace, name, None, description, 0, None)


def _filtered(
    connection: Connection, actor: Actor, wanted: EnvironmentFilter, *, is_in_order: bool = False
) -> Select[Any]:
    query = _columns(is_in_order=is_in_order).where(
        environment.c.deleted_on.is_(None), namespace.c.deleted_on.is_(None), environments_readable_by(actor)
    )
    if wanted.also_readable_by is not None:
        query = query.where(environments_readable_by(wanted.also_readable_by))
    if wanted.search:
        query = query.where(*_named(wanted.search.lower()))
    if wanted.namespace:
        query = query.where(namespace.c.name == wanted.namespace)
    if wanted.name:
        query = query.where(environment.c.name == wanted.name)
    if wanted.status:
        query = query.join(build, build.c.id == environment.c.current_build_id).where(build.c.status == wanted.status)
    if wanted.artifact:
        query = query.where(has_artifact(connection, environment.c.current_build_id, wanted.artifact))
    if wanted.packages:
        query = query.where(has_all_packages(environment.c.current_build_id, wanted.packages))
    return query.where(*(meets(connection, term, is_common=is_in_order) for term in wanted.terms))


def _named(part: str) -> tuple[ColumnElement[bool], ...]:
    """That it is a part of one of the names; the first condition is implied, and quickly asked."""
    names = (func.lower(namespace.c.name), func.lower(environment.c.name))
    return holds(environment.c.search_text, part), or_(*(holds(name, part) for name in names))


def _count(connection: Connection, actor: Actor, wanted: EnvironmentFilter) -> int:
    other = readable_patterns(wanted.also_readable_by) if wanted.also_readable_by else None
    question = ("environments", readable_patterns(actor), other, replace(wanted, also_readable_by=None))
    return once(connection, question, lambda: count_of(connection, _filtered(connection, actor, wanted)))


def _page_query(
    connection: Connection, actor: Actor, wanted: EnvironmentFilter, sort_by: Sequence[str], count: int, size: int
) -> Select[Any]:
    """Of many the first ones are found by going through them in order, of few by finding and sorting all."""
    is_in_order = sort_by[:1] == ("namespace",) and count > _MANY * size
    return _filtered(connection, actor, wanted, is_in_order=is_in_order)


def list_readable(
    connection: Connection, actor: Actor, wanted: EnvironmentFilter, request: PageRequest
) -> Page[EnvironmentRecord]:
    count = _count(connection, actor, wanted)
    query = _page_query(connection, actor, wanted, request.sort_by or SORTABLE, count, request.size or count)
    return fetch_page(connection, _record, query, request, _SORTABLE, SORTABLE, tie=environment.c.id, count=count)


def list_readable_after(
    connection: Connection,
    actor: Actor,
    wanted: EnvironmentFilter,
    *,
    cursor: Cursor,
    limit: int,
    sort_by: Sequence[str],
    is_descending: bool,
) -> KeysetPage[EnvironmentRecord]:
    """The next `limit` rows behind the cursor. A page that is empty answers the end cursor, as clients expect."""
    count = _count(connection, actor, wanted)
    query = _page_query(connection, actor, wanted, tuple(sort_by), count, limit)
    columns = [column for name in sort_by for column in _SORTABLE[name]] + [environment.c.id]
    if cursor.last_id is not None:
        values = [*((cursor.last_value or {}).get(name) for name in sort_by), cursor.last_id]
        query = query.where(after(columns, values, is_descending=is_descending))
    query = query.order_by(*directed(columns, is_descending=is_descending)).limit(limit)
    rows = tuple(_record(row) for row in connection.execute(query))
    if not rows:
        return KeysetPage((), END_CURSOR.encode(), count)
    last = rows[-1]
    value = {"namespace": last.namespace.name, "name": last.name}
    end = Cursor(last.id, {name: value[name] for name in sort_by} if sort_by else {})
    return KeysetPage(rows, end.encode(), count)


def count(connection: Connection) -> int:
    query = select(func.count()).select_from(environment).where(environment.c.deleted_on.is_(None))
    return connection.execute(query).scalar_one()


def set_current(connection: Connection, environment_id: int, build_id: int) -> None:
    """What is shown as the current build before any has been activated."""
    connection.execute(update(environment).where(environment.c.id == environment_id).values(current_build_id=build_id))


def activate_if_newest(connection: Connection, environment_id: int, build_id: int) -> bool:
    """Make a completed build the active one unless one submitted later, or chosen by somebody since, already is."""
    changed = connection.execute(
        update(environment)
        .where(environment.c.id == environment_id, environment.c.activation_floor < build_id)
        .values(current_build_id=build_id, activation_floor=build_id)
    )
    return changed.rowcount == 1


def activate(connection: Connection, environment_id: int, build_id: int) -> None:
    """Make a build the active one; it outranks every build submitted so far."""
    newest = select(func.max(build.c.id)).where(build.c.environment_id == environment_id).scalar_subquery()
    # a change of the symlink that is under way may have been made, and not been written down
    is_sure = environment.c.linked_build_id == environment.c.current_build_id
    connection.execute(
        update(environment)
        .where(environment.c.id == environment_id)
        .values(
            current_build_id=build_id,
            activation_floor=newest,
            linked_build_id=case((is_sure, environment.c.linked_build_id)),
        )
    )


def set_description(connection: Connection, described: EnvironmentRecord, description: str) -> None:
    text = search_text(described.namespace.name, described.name, description)
    values = {"description": _checked(description), "search_text": text}
    connection.execute(update(environment).where(environment.c.id == described.id).values(values))


def mark_deleted(connection: Connection, environment_id: int, now: datetime) -> None:
    # what was kept of builds that were deleted before goes as well: they are cleared up once more
    connection.execute(
        update(build)
        .where(build.c.environment_id == environment_id)
        .values(deleted_on=func.coalesce(build.c.deleted_on, now), purged_on=None)
    )
    connection.execute(update(environment).where(environment.c.id == environment_id).values(deleted_on=now))


@dataclass(frozen=True)
class LinkChange:
    """A symlink that does not say what the database says. `prefix` is where it has to point; where it is None, the
    link has to go if it points to a build of this environment."""

    environment_id: int
    namespace: str
    name: str
    build_id: int | None
    prefix: str | None


def links_to_change(connection: Connection, environment_id: int | None = None) -> tuple[LinkChange, ...]:
    """Where the active build is complete and not what the symlink was last set to, or is gone; of one environment or
    of all. Asked at every change of the database: of ten thousand environments only a few are looked at closely."""
    ids = _link_suspects(connection) if environment_id is None else {environment_id}
    if not ids:
        return ()
    query = (
        select(
            environment.c.id,
            namespace.c.name.label("namespace"),
            environment.c.name,
            environment.c.linked_build_id,
            environment.c.deleted_on,
            build.c.id.label("build_id"),
            build.c.prefix,
            build.c.status,
            build.c.deleted_on.label("build_deleted_on"),
        )
        .join(namespace, namespace.c.id == environment.c.namespace_id)
        .outerjoin(build, build.c.id == environment.c.current_build_id)
        .where(environment.c.id.in_(sorted(ids)))
    )
    changes = (_link_change(row) for row in connection.execute(query))
    return tuple(change for change in changes if change is not None)


def _link_suspects(connection: Connection) -> set[int]:
    """The environments of which a link may have to be changed, and a few more."""
    linked = environment.c.linked_build_id
    unpurged = select(build.c.id).where(build.c.deleted_on.is_not(None), build.c.purged_on.is_(None))
    conditions = (
        (linked.is_distinct_from(environment.c.current_build_id),),
        (environment.c.deleted_on.is_not(None), linked.is_not(None)),
        (environment.c.current_build_id.in_(unpurged), linked.is_not(None)),
    )
    queries = (select(environment.c.id).where(*condition) for condition in conditions)
    return {row.id for query in queries for row in connection.execute(query)}


def _link_change(row: Any) -> LinkChange | None:
    if row.deleted_on is None and row.build_deleted_on is None:
        if row.status is BuildStatus.COMPLETED and row.linked_build_id != row.build_id:
            return LinkChange(row.id, row.namespace, row.name, row.build_id, row.prefix)
    elif row.linked_build_id is not None:
        return LinkChange(row.id, row.namespace, row.name, None, None)
    return None


def has_prefix(connection: Connection, environment_id: int, prefix: str) -> bool:
    """Whether one of the environment's builds is, or was, laid out there."""
    query = select(build.c.id).where(build.c.environment_id == environment_id, build.c.prefix == prefix)
    return connection.execute(query.limit(1)).first() is not None


def set_linked(connection: Connection, environment_id: int, build_id: int | None) -> None:
    connection.execute(update(environment).where(environment.c.id == environment_id).values(linked_build_id=build_id))
