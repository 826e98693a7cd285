"""`/api/v1/token/`: tokens are made, listed and revoked."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query
from starlette.responses import Response

from conda_store.db.records import TokenRecord
from conda_store.server.api.bodies import TokenBody
from conda_store.server.api.documented import refusals
from conda_store.server.api.parameters import LARGEST, Number, Order, Size, SortBy, aware, page_request
from conda_store.server.api.schemas import Acknowledgement, Answer, NewTokenShape, PageOf, TokenShape, UserShape
from conda_store.server.parts import Caller
from conda_store.server.rendering import acknowledged, moment, ok, page
from conda_store.services import tokens
from conda_store.services.tokens import TokenRequest

router = APIRouter(tags=["tokens"])

Everybody = Annotated[bool, Query(description="Those of everybody: for admins of everything.")]
UserName = Annotated[str, Path(max_length=255, description="Name of a user.")]
TokenId = Annotated[int, Path(ge=0, le=LARGEST, description="Id of a token.")]


@router.post("/api/v1/token/", response_model=Answer[NewTokenShape], responses=refusals(400, 401, 429))
def create_token(call: Caller, body: Annotated[TokenBody | None, Body()] = None) -> Response:
    """A token that can do no more than the caller and lives no longer; what is left out is as for the caller."""
    body = body or TokenBody()
    request = TokenRequest(
        body.name or "", body.primary_namespace, body.role_bindings, aware(body.expiration or body.exp)
    )
    call.parts.attempts.count_token(call.actor.identity)
    answer = ok({"token": tokens.create_token(call.context, call.actor, request)})
    answer.headers["Cache-Control"] = "no-store"
    return answer


@router.get("/api/v1/token/", response_model=PageOf[TokenShape], responses=refusals(401, 403))
def list_tokens(
    call: Caller,
    page_number: Number = None,
    size: Size = None,
    order: Order = None,
    sort_by: SortBy = None,
    everybody: Everybody = False,
) -> Response:
    """The caller's own tokens and logins that are valid; never the tokens themselves."""
    wanted = page_request(call.options, page_number, size, order, sort_by)
    found = tokens.list_tokens(call.context, call.actor, wanted, everybody=everybody)
    return page([_shape(record) for record in found.rows], found.page, found.size, found.count)


@router.get("/api/v1/user/", response_model=Answer[UserShape])
def get_user(call: Caller) -> Response:
    """Who the caller is, and which of their tokens they brought."""
    actor = call.actor
    return ok(
        {
            "name": actor.name,
            "authenticated": actor.is_authenticated,
            "primary_namespace": actor.primary_namespace,
            "groups": list(actor.groups),
            "expiration": moment(actor.expires),
            "token_id": actor.token_id,
        }
    )


@router.delete("/api/v1/token/{token_id}/", response_model=Acknowledgement, responses=refusals(401, 404))
def revoke_token(call: Caller, token_id: TokenId) -> Response:
    """From now on it is worth nothing, and neither are those that were made with it."""
    tokens.revoke_token(call.context, call.actor, token_id)
    return acknowledged()


@router.delete("/api/v1/user/{user}/token/", response_model=Acknowledgement, responses=refusals(401, 403, 404))
def end_everything_of(call: Caller, user: UserName) -> Response:
    """Ends all logins and tokens of a user: one's own, for admins of everything anybody's."""
    ended = tokens.end_everything_of(call.context, call.actor, user)
    return acknowledged(f"{ended} tokens and logins have ended")


def _shape(record: TokenRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "kind": record.kind.value,
        "name": record.name,
        "owner": record.identity,
        "primary_namespace": record.primary_namespace,
        "role_bindings": record.limits,
        "created_on": moment(record.created_on),
        "expiration": moment(record.expires_on),
        "last_used_on": moment(record.last_used_on),
    }
