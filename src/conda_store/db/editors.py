"""Who has the specification of an environment open for changing."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from conda_store.db.tables import editor


def present(connection: Connection, environment_id: int, since: datetime) -> dict[str, tuple[str, datetime]]:
    """Name and last sign of each identity whose page was heard of since then."""
    query = select(editor.c.identity, editor.c.name, editor.c.seen_on).where(
        editor.c.environment_id == environment_id, editor.c.seen_on > since
    )
    return {row.identity: (row.name, row.seen_on) for row in connection.execute(query)}


def note(connection: Connection, environment_id: int, identity: str, name: str, now: datetime) -> None:
    leave(connection, environment_id, identity)
    values = {"environment_id": environment_id, "identity": identity, "name": name[:255], "seen_on": now}
    connection.execute(insert(editor).values(values))


def leave(connection: Connection, environment_id: int, identity: str) -> None:
    connection.execute(delete(editor).where(editor.c.environment_id == environment_id, editor.c.identity == identity))


def forget(connection: Connection, before: datetime) -> None:
    connection.execute(delete(editor).where(editor.c.seen_on <= before))
