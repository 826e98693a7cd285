"""The audit log, for admins of everything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response, StreamingResponse

from conda_store.domain.audit import AuditFilter, AuditRecord
from conda_store.server.api.documented import refusals
from conda_store.server.api.parameters import Number, Size, aware, page_request
from conda_store.server.api.schemas import AuditShape, PageOf
from conda_store.server.parts import Caller
from conda_store.server.rendering import moment, page
from conda_store.services import auditing

router = APIRouter(tags=["audit"])

Moment = Annotated[datetime | None, Query(description="UTC unless it says otherwise.")]


def _wanted(
    actor: str | None = None,
    action: Annotated[str | None, Query(description="A permission, such as `environment::delete`.")] = None,
    namespace: str | None = None,
    allowed: Annotated[bool | None, Query(description="Only what was allowed, or only what was refused.")] = None,
    since: Moment = None,
    until: Moment = None,
    environment: str | None = None,
) -> AuditFilter:
    return AuditFilter(actor, action, namespace, allowed, aware(since), aware(until), environment)


Wanted = Annotated[AuditFilter, Depends(_wanted)]


@router.get("/api/v1/audit/", response_model=PageOf[AuditShape], responses=refusals(400, 403))
def list_audit(call: Caller, wanted: Wanted, page_number: Number = None, size: Size = None) -> Response:
    """Who did what to which object, from where, allowed or refused; the newest first."""
    request = page_request(call.options, page_number, size, None, None)
    found = auditing.list_audit(call.context, call.actor, wanted, request)
    return page([_shape(record) for record in found.rows], found.page, found.size, found.count)


@router.get(
    "/api/v1/audit/export/",
    responses=refusals(403) | {200: {"content": {"application/jsonl": {}}, "description": "One entry a line."}},
    response_class=StreamingResponse,
)
def export_audit(call: Caller, wanted: Wanted) -> Response:
    """All of it as JSON Lines, the oldest first."""
    found = auditing.export_audit(call.context, call.actor, wanted)
    return StreamingResponse(_lines(found), media_type="application/jsonl")


def _lines(records: Iterator[AuditRecord]) -> Iterator[str]:
    for record in records:
        yield json.dumps(_shape(record), ensure_ascii=True) + "\n"


def _shape(record: AuditRecord) -> dict[str, Any]:
    entry = record.entry
    return {
        "id": record.id,
        "time": moment(record.moment),
        "actor": entry.actor,
        "token": entry.token,
        "address": entry.address,
        "action": entry.action,
        "namespace": entry.namespace,
        "environment": entry.environment,
        "detail": entry.detail,
        "allowed": entry.is_allowed,
        "request_id": entry.request_id,
    }
