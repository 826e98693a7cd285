"""Who did what, and who may do what: for admins."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.db.paging import PageRequest
from conda_store.domain.access import Target
from conda_store.domain.audit import OTHER_ACTIONS, AuditFilter
from conda_store.domain.roles import Permission, parse_permission
from conda_store.errors import InvalidInput
from conda_store.server.parts import Caller
from conda_store.server.web.parameters import Number, Size
from conda_store.server.web.rendering import PageRoute, own_path, page
from conda_store.services import auditing, explaining

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_PAGE_SIZE = 100
_ACTIONS = (*Permission, *OTHER_ACTIONS)


@router.get("/audit/")
def get_audit(
    request: Request,
    call: Caller,
    actor: str = "",
    action: str = "",
    namespace: str = "",
    environment: str = "",
    since: str = "",
    refused: bool = False,
    number: Number = 1,
    size: Size = _PAGE_SIZE,
) -> Response:
    wanted = AuditFilter(
        actor.strip() or None,
        action or None,
        namespace.strip() or None,
        False if refused else None,
        _moment(since),
        environment=environment.strip() or None,
    )
    chosen = {
        "actor": actor,
        "action": action,
        "namespace": namespace,
        "environment": environment,
        "since": since,
    }
    found = auditing.list_audit(call.context, call.actor, wanted, PageRequest(number, size))
    exported = {key: value for key, value in chosen.items() if value} | ({"allowed": "false"} if refused else {})
    return page(
        request,
        "audit.html",
        found=found,
        usual=_PAGE_SIZE,
        chosen=chosen,
        refused=refused,
        actions=_ACTIONS,
        export=own_path(call.options, "api", "v1", "audit", "export", **exported),
    )


@router.get("/explain/")
def get_explain(
    request: Request, call: Caller, permission: str = "", namespace: str = "", environment: str = "", user: str = ""
) -> Response:
    """Whether somebody may do something, and why; of others to those who may change roles there."""
    decision = None
    if permission:
        target = Target(namespace.strip() or None, (environment.strip() or None) if namespace.strip() else None)
        decision = explaining.explain(
            call.context,
            call.actor,
            call.parts.authenticator.rules,
            parse_permission(permission),
            target,
            user.strip() or None,
        )
    return page(
        request,
        "explain.html",
        decision=decision,
        permissions=tuple(Permission),
        permission=permission or Permission.ENVIRONMENT_READ.value,
        namespace=namespace,
        environment=environment,
        user=user,
    )


def _moment(text: str) -> datetime | None:
    """
    Raises:
        InvalidInput: it is no day or time.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text[:40]!r} is no day", hint="Write it so: 2026-11-21.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
