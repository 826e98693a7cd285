"""Logs while they are written: appended in chunks, never rewritten."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select

from conda_store.db.records import LogChunk
from conda_store.db.tables import build, build_log
from conda_store.domain.build import BuildStatus


def append(connection: Connection, build_id: int, text: str) -> int:
    """Add a chunk; returns its sequence number, from 1."""
    last = connection.execute(
        select(func.max(build_log.c.sequence)).where(build_log.c.build_id == build_id)
    ).scalar_one()
    sequence = (last or 0) + 1
    connection.execute(insert(build_log).values(build_id=build_id, sequence=sequence, text=text))
    return sequence


def after(connection: Connection, build_id: int, sequence: int) -> tuple[LogChunk, ...]:
    query = (
        select(build_log.c.sequence, build_log.c.text)
        .where(build_log.c.build_id == build_id, build_log.c.sequence > sequence)
        .order_by(build_log.c.sequence)
    )
    return tuple(LogChunk(row.sequence, row.text) for row in connection.execute(query))


def whole(connection: Connection, build_id: int) -> str:
    return "".join(chunk.text for chunk in after(connection, build_id, 0))


def of_ended_builds(connection: Connection) -> tuple[int, ...]:
    """The builds that have ended and whose log is still in chunks."""
    query = (
        select(build.c.id)
        .where(
            build.c.status.in_([status for status in BuildStatus if status.has_ended]),
            build.c.id.in_(select(build_log.c.build_id).distinct()),
        )
        .order_by(build.c.id)
    )
    return tuple(connection.execute(query).scalars())


def remove(connection: Connection, build_id: int, through: int | None = None) -> bool:
    """Forget the chunks, when the blob holds the log; those up to the sequence number `through`, or all. Whether there
    were any."""
    query = delete(build_log).where(build_log.c.build_id == build_id)
    return connection.execute(query if through is None else query.where(build_log.c.sequence <= through)).rowcount > 0
