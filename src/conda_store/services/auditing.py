"""Reading the audit log, and ending what nobody has written down yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from conda_store.db import audit
from conda_store.db.paging import Page, PageRequest
from conda_store.domain.access import SYSTEM, Actor, Target
from conda_store.domain.audit import AuditEntry, AuditFilter, AuditRecord, Trail, note, on_trail
from conda_store.domain.roles import Permission
from conda_store.services.context import Context

_AT_ONCE = 1000


def list_audit(context: Context, actor: Actor, wanted: AuditFilter, request: PageRequest) -> Page[AuditRecord]:
    """What was done and refused, the newest first: for admins of everything."""
    actor.require(Permission.SETTING_UPDATE, Target())
    with context.database.read() as connection:
        return audit.list_matching(connection, wanted, request)


def list_requests(context: Context, actor: Actor, namespace: str, name: str, request: PageRequest) -> Page[AuditRecord]:
    """What was done to an environment, the newest first: for those who may change it. It does not say from where, nor
    with which token."""
    actor.require(Permission.ENVIRONMENT_UPDATE, Target(namespace, name))
    wanted = AuditFilter(namespace=namespace, environment=name, is_allowed=True)
    with context.database.read() as connection:
        found = audit.list_matching(connection, wanted, request)
    rows = tuple(replace(row, entry=_untraced(row.entry)) for row in found.rows)
    return replace(found, rows=rows)


def _untraced(entry: AuditEntry) -> AuditEntry:
    nothing = ""
    return replace(entry, token=nothing, address=nothing, request_id=nothing)


def export_audit(context: Context, actor: Actor, wanted: AuditFilter) -> Iterator[AuditRecord]:
    """All of it, the oldest first, read piece by piece."""
    actor.require(Permission.SETTING_UPDATE, Target())
    return _pieces(context, wanted)


def _pieces(context: Context, wanted: AuditFilter) -> Iterator[AuditRecord]:
    last = 0
    while True:
        with context.database.read() as connection:
            found = audit.after(connection, wanted, last, _AT_ONCE)
        yield from found
        if len(found) < _AT_ONCE:
            return
        last = found[-1].id


def write_refusals(context: Context, trail: Trail) -> None:
    """Write down what the request was refused: no transaction of its own has done that."""
    refused, trail.refused = trail.refused, []
    with context.database.write(is_act=False) as connection:
        audit.add(connection, refused)


def forget_old(context: Context) -> int:
    """Drop what is older than the deployment keeps it; how much that was."""
    days = context.deployment.audit_retention_days
    if days is None:
        return 0
    limit = datetime.now(UTC) - timedelta(days=days)
    with by_itself() as note, context.database.write() as connection:
        if count := audit.forget_older(connection, limit):
            note("audit::forget", detail=f"{count} entries from before {limit:%Y-%m-%d %H:%M}")
        return count


@contextmanager
def by_itself() -> Iterator[Callable[..., None]]:
    """For what nobody asks for just now: `note` an action (see `domain.audit`), whose actor is the service. It is
    written with the next transaction that is committed inside."""
    with on_trail(Trail()):
        yield partial(note, SYSTEM.name)
