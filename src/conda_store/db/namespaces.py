"""Namespaces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from conda_store.db import roles
from conda_store.db.kept import once
from conda_store.db.paging import Page, PageRequest, fetch_page
from conda_store.db.records import NamespaceRecord, NamespaceUsage
from conda_store.db.tables import build, environment, namespace
from conda_store.db.visibility import environments_readable_by, namespaces_seen_by, readable_patterns
from conda_store.domain.access import Actor, Target, not_there
from conda_store.errors import InvalidInput

# characters of JSON
LARGEST_METADATA = 16_384


def _record(row: Any) -> NamespaceRecord:
    return NamespaceRecord(row.id, row.name, row.metadata_ or {})


def find(connection: Connection, name: str) -> NamespaceRecord | None:
    row = connection.execute(
        select(namespace).where(namespace.c.name == name, namespace.c.deleted_on.is_(None))
    ).one_or_none()
    return _record(row) if row else None


def get(connection: Connection, name: str) -> NamespaceRecord:
    """
    Raises:
        NotFound: there is none.
    """
    found = find(connection, name)
    if found is None:
        raise not_there(Target(name))
    return found


def create(connection: Connection, name: str) -> NamespaceRecord:
    created = connection.execute(insert(namespace).values(name=name, metadata_={}).returning(namespace.c.id))
    return NamespaceRecord(created.scalar_one(), name, {})


def list_readable(connection: Connection, actor: Actor, request: PageRequest) -> Page[NamespaceRecord]:
    query = select(namespace).where(namespace.c.deleted_on.is_(None), namespaces_seen_by(actor))
    columns = {"name": [namespace.c.name]}
    return fetch_page(connection, _record, query, request, columns, ["name"], tie=namespace.c.id)


def set_metadata(connection: Connection, namespace_id: int, metadata: Mapping[str, Any]) -> None:
    """
    Raises:
        InvalidInput: it is larger than what lists can show.
    """
    size = len(json.dumps(metadata))
    if size > LARGEST_METADATA:
        raise InvalidInput(
            f"metadata of {size} characters is too large",
            hint=f"Keep it to {LARGEST_METADATA}: every list of environments has it.",
        )
    connection.execute(update(namespace).where(namespace.c.id == namespace_id).values(metadata_=dict(metadata)))


def mark_deleted(connection: Connection, namespace_id: int, now: datetime) -> None:
    """Take the namespace and everything in it out of sight; a worker clears up after it."""
    roles.forget_namespace(connection, namespace_id)
    inside = select(environment.c.id).where(environment.c.namespace_id == namespace_id)
    connection.execute(
        update(build)
        .where(build.c.environment_id.in_(inside))
        .values(deleted_on=func.coalesce(build.c.deleted_on, now), purged_on=None)
    )
    connection.execute(
        update(environment)
        .where(environment.c.namespace_id == namespace_id, environment.c.deleted_on.is_(None))
        .values(deleted_on=now)
    )
    connection.execute(update(namespace).where(namespace.c.id == namespace_id).values(deleted_on=now))


def usage(connection: Connection, actor: Actor) -> tuple[NamespaceUsage, ...]:
    """What is used in each namespace that holds at least one build."""
    return once(connection, ("usage", readable_patterns(actor)), lambda: _usage(connection, actor))


def _usage(connection: Connection, actor: Actor) -> tuple[NamespaceUsage, ...]:
    held = (
        select(build.c.environment_id, func.count().label("builds"), func.sum(build.c.size).label("size"))
        .group_by(build.c.environment_id)
        .subquery()
    )
    query = (
        select(namespace.c.name, func.count(), func.sum(held.c.builds), func.coalesce(func.sum(held.c.size), 0))
        .select_from(held)
        .join(environment, environment.c.id == held.c.environment_id)
        .join(namespace, namespace.c.id == environment.c.namespace_id)
        .where(environment.c.deleted_on.is_(None), environments_readable_by(actor))
        .group_by(namespace.c.name)
        .order_by(namespace.c.name)
    )
    return tuple(NamespaceUsage(row[0], row[1], int(row[2]), int(row[3])) for row in connection.execute(query))
