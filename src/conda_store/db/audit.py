"""The audit log: added to and read. Nothing here changes a row; what is old enough can be dropped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from conda_store.db.paging import Page, PageRequest, fetch_page
from conda_store.db.tables import audit
from conda_store.domain.audit import AuditEntry, AuditFilter, AuditRecord

_LONGEST = 255


def add(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    if entries:
        now = datetime.now(UTC)
        connection.execute(insert(audit), [_values(entry, now) for entry in entries])


def _values(entry: AuditEntry, now: datetime) -> dict[str, Any]:
    return {
        "moment": now,
        "actor": entry.actor[:_LONGEST],
        "token": entry.token[:_LONGEST],
        "address": entry.address[:_LONGEST],
        "action": entry.action,
        "namespace": entry.namespace[:_LONGEST] if entry.namespace else None,
        "environment": entry.environment[:_LONGEST] if entry.environment else None,
        "detail": entry.detail,
        "is_allowed": entry.is_allowed,
        "request_id": entry.request_id,
    }


def list_matching(connection: Connection, wanted: AuditFilter, request: PageRequest) -> Page[AuditRecord]:
    """The newest first."""
    query = select(audit).where(*_conditions(wanted))
    newest = PageRequest(request.page, request.size, ("id",), is_descending=True)
    return fetch_page(connection, _record, query, newest, {"id": [audit.c.id]}, ["id"], tie=audit.c.id)


def after(connection: Connection, wanted: AuditFilter, last_id: int, size: int) -> tuple[AuditRecord, ...]:
    """The oldest behind an id, for reading all of them piece by piece."""
    query = select(audit).where(*_conditions(wanted), audit.c.id > last_id).order_by(audit.c.id).limit(size)
    return tuple(_record(row) for row in connection.execute(query))


def forget_older(connection: Connection, moment: datetime) -> int:
    """How many were deleted; the database refuses what is younger than 30 days."""
    return connection.execute(delete(audit).where(audit.c.moment < moment)).rowcount


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for column, value in (
        (audit.c.actor, wanted.actor),
        (audit.c.action, wanted.action),
        (audit.c.namespace, wanted.namespace),
        (audit.c.environment, wanted.environment),
        (audit.c.is_allowed, wanted.is_allowed),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.since is not None:
        found.append(audit.c.moment >= wanted.since)
    if wanted.until is not None:
        found.append(audit.c.moment < wanted.until)
    return found


def _record(row: Any) -> AuditRecord:
    entry = AuditEntry(
        row.actor,
        row.action,
        row.namespace,
        row.environment,
        row.is_allowed,
        row.detail,
        row.token,
        row.address,
        row.request_id,
    )
    return AuditRecord(row.id, row.moment, entry)
