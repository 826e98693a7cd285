"""All tokens and logins of the deployment: for admins of everything."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.db.paging import PageRequest
from conda_store.errors import InvalidInput
from conda_store.server.parts import Caller
from conda_store.server.web.forms import Sent
from conda_store.server.web.parameters import Id, Number, Size
from conda_store.server.web.rendering import PageRoute, own_path, page, redirect
from conda_store.services import tokens

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_PAGE_SIZE = 50


@router.get("/token/")
def get_tokens(request: Request, call: Caller, user: str = "", number: Number = 1, size: Size = _PAGE_SIZE) -> Response:
    newest = PageRequest(number, size, ("id",), is_descending=True)
    user = user.strip()
    found = tokens.list_tokens(call.context, call.actor, newest, everybody=True, user=user)
    return page(request, "tokens.html", found=found, usual=_PAGE_SIZE, user=user)


@router.post("/token/{token_id}/revoke/")
def post_revoke(call: Caller, token_id: Id, sent: Sent) -> Response:
    tokens.revoke_token(call.context, call.actor, token_id)
    return redirect(own_path(call.options, "token", user=sent.text("user"), said="token-revoked"))


@router.get("/token/revoke/")
def get_revoke_all(request: Request, call: Caller, user: str = "") -> Response:
    """Asks for the name."""
    found = tokens.list_tokens(call.context, call.actor, PageRequest(1, 1), everybody=True, user=user)
    return page(
        request,
        "confirm.html",
        question=f"End everything of {user}?",
        consequence=f"{found.count} tokens and logins are worth nothing then. Who may log in can do so again.",
        action=own_path(call.options, "token", "revoke", user=user),
        back=own_path(call.options, "token", user=user),
        word="End all",
        typed=user,
    )


@router.post("/token/revoke/")
def post_revoke_all(call: Caller, sent: Sent, user: str = "") -> Response:
    if sent.text("typed") != user:
        raise InvalidInput(
            "the name that was typed is not the user's", hint=f"Type {user} to end everything of theirs."
        )
    tokens.end_everything_of(call.context, call.actor, user)
    return redirect(own_path(call.options, "token", said="all-revoked"))
