"""The token service: clients of registries come here when they are told 401.

The token that they get is the conda-store token that they give as a password; who gives none gets one that stands for
nobody, and reads what anybody may.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from conda_store.auth.credentials import presented_token
from conda_store.server.parts import parts_of
from conda_store.server.registry.answers import ANONYMOUS_TOKEN, VERSION, Refusal, TokenRoute
from conda_store.server.rendering import JSON

router = APIRouter(route_class=TokenRoute, include_in_schema=False)

_SECONDS = 300


@router.get("/token")
def get_token(request: Request) -> Response:
    """A token for the password in `Authorization: Basic`, whatever the user's name is."""
    header = request.headers.get("authorization")
    return _answer(request, (presented_token(None, header) or "") if header else ANONYMOUS_TOKEN)


@router.post("/token")
async def post_token(request: Request) -> Response:
    """The same for a form (OAuth 2: `grant_type=password`, or `refresh_token`)."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    kind = form.get("grant_type", ["password"])[0]
    password = form.get("refresh_token" if kind == "refresh_token" else "password", [""])[0]
    if not password:
        return await run_in_threadpool(get_token, request)
    return await run_in_threadpool(_answer, request, password)


def _answer(request: Request, token: str) -> Response:
    if token != ANONYMOUS_TOKEN and not (token and parts_of(request).authenticator.find(request, token)):
        raise Refusal("UNAUTHORIZED", "the password has to be a conda-store token that is valid")
    content = {
        "token": token,
        "access_token": token,
        "expires_in": _SECONDS,
        "issued_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return JSON(content, headers={**VERSION, "Cache-Control": "no-store"})
