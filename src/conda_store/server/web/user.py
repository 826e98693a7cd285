"""Who is logged in, what they may do and why; their tokens and logins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from conda_store.db.paging import PageRequest
from conda_store.domain.access import TokenKind
from conda_store.errors import CondaStoreError, Forbidden, InvalidInput
from conda_store.server.parts import Call, Caller
from conda_store.server.web.forms import Form, Sent
from conda_store.server.web.parameters import Id
from conda_store.server.web.rendering import PageRoute, own_path, page, redirect
from conda_store.services import login_grants, metrics, namespaces, tokens
from conda_store.services.tokens import TokenRequest

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_DAYS = (1, 7, 30, 90, 365)
_SHOWN = 75


@router.get("/user/")
def get_user(request: Request, call: Caller) -> Response:
    if not call.actor.is_authenticated:
        return RedirectResponse(own_path(call.options, "login", next=own_path(call.options, "user")))
    return _page(request, call, Form({}, {}))


@router.post("/user/token/")
def post_token(request: Request, call: Caller, sent: Sent) -> Response:
    """Makes a token; the answer is the only page that ever shows it."""
    try:
        call.parts.attempts.count_token(call.actor.identity)
        wanted = TokenRequest(sent.text("name"), None, _narrowed(sent), _expiration(sent))
        made = tokens.create_token(call.context, call.actor, wanted, outlives_login=_outlives_login(call))
    except (InvalidInput, Forbidden) as error:
        return _page(request, call, sent, error)
    return _page(request, call, Form({}, {}), made=made)


@router.post("/user/token/{token_id}/revoke/")
def post_revoke(call: Caller, token_id: Id) -> Response:
    tokens.revoke_token(call.context, call.actor, token_id)
    return redirect(own_path(call.options, "user", said="token-revoked"))


def _page(
    request: Request, call: Call, sent: Form, error: CondaStoreError | None = None, made: str | None = None
) -> Response:
    newest = PageRequest(1, _SHOWN, ("id",), is_descending=True)
    found = tokens.list_tokens(call.context, call.actor, newest)
    disk = metrics.disk(call.context)
    return page(
        request,
        "user.html",
        again=own_path(call.options, "user"),
        status_code=400 if error else 200,
        tokens=[row for row in found.rows if row.kind is TokenKind.TOKEN],
        sessions=[row for row in found.rows if row.kind is TokenKind.SESSION],
        has_more=found.count > len(found.rows),
        roles=[role.name for role in call.parts.authenticator.rules.roles],
        days=[days for days in _DAYS if _may_last(call, timedelta(days=days))],
        sent=sent,
        error=error,
        made=made,
        usage=namespaces.usage(call.context, call.actor),
        disk_total=disk["disk_total"],
        disk_free=disk["disk_free"],
    )


def _outlives_login(call: Call) -> timedelta | None:
    """Who has logged in as themselves, and asks on a page of ours, gets tokens that outlast the login."""
    return call.parts.authenticator.rules.token_lifetime if login_grants.may_confirm(call.actor) else None


def _may_last(call: Call, wanted: timedelta) -> bool:
    longest = _outlives_login(call)
    if longest is not None:
        return wanted <= longest
    return call.actor.expires is None or datetime.now(UTC) + wanted <= call.actor.expires


def _expiration(sent: Form) -> datetime | None:
    days = sent.text("days")
    return datetime.now(UTC) + timedelta(days=int(days)) if days in {str(number) for number in _DAYS} else None


def _narrowed(sent: Form) -> Mapping[str, Sequence[str]] | None:
    """`{"team/*": ["viewer"]}`; None where the token is to give everything.

    Raises:
        InvalidInput: it is to be narrowed to something, but not to a role there.
    """
    if not sent.text("role"):
        if sent.text("namespace") or sent.text("environment"):
            raise InvalidInput("it is not said what the token gives there", hint="Choose a role.")
        return None
    return {f"{sent.text('namespace') or '*'}/{sent.text('environment') or '*'}": [sent.text("role")]}
