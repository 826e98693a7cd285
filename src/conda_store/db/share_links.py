"""Links with which anybody may read one environment, until they expire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select

from conda_store.db.records import ShareLinkRecord
from conda_store.db.tables import environment, namespace, share_link


def _links(now: datetime) -> Select[Any]:
    """Those that are good: the environment is there, the time not over."""
    return (
        select(share_link, environment.c.name.label("environment"), namespace.c.name.label("namespace"))
        .join(environment, environment.c.id == share_link.c.environment_id)
        .join(namespace, namespace.c.id == environment.c.namespace_id)
        .where(environment.c.deleted_on.is_(None), namespace.c.deleted_on.is_(None), share_link.c.expires_on > now)
    )


def _record(row: Any) -> ShareLinkRecord:
    return ShareLinkRecord(row.id, row.namespace, row.environment, row.given_by, row.given_on, row.expires_on)


def find(connection: Connection, digest: str, now: datetime) -> ShareLinkRecord | None:
    row = connection.execute(_links(now).where(share_link.c.digest == digest)).one_or_none()
    return _record(row) if row else None


def of_namespace(
    connection: Connection, name: str, environment_name: str | None, now: datetime
) -> tuple[ShareLinkRecord, ...]:
    """The good links to an environment, or to all those of a namespace."""
    query = _links(now).where(namespace.c.name == name).order_by(share_link.c.id)
    if environment_name is not None:
        query = query.where(environment.c.name == environment_name)
    return tuple(_record(row) for row in connection.execute(query))


def create(
    connection: Connection, digest: str, environment_id: int, given_by: str, now: datetime, expires_on: datetime
) -> int:
    """The id of a new link. Those that have expired are dropped on this occasion."""
    connection.execute(delete(share_link).where(share_link.c.expires_on <= now))
    values = {
        "digest": digest,
        "environment_id": environment_id,
        "given_by": given_by,
        "given_on": now,
        "expires_on": expires_on,
    }
    created: int = connection.execute(insert(share_link).values(values).returning(share_link.c.id)).scalar_one()
    return created


def remove(connection: Connection, link_id: int) -> None:
    connection.execute(delete(share_link).where(share_link.c.id == link_id))
