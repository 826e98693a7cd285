"""Logging in with a token, and out again. It works without the other pages, too."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter, Request
from starlette.requests import HTTPConnection
from starlette.responses import Response

from conda_store.domain.access import Actor
from conda_store.errors import InvalidInput
from conda_store.server.options import ServerOptions
from conda_store.server.parts import Caller
from conda_store.server.rendering import JSON, refusal
from conda_store.server.web.forms import Sent
from conda_store.server.web.rendering import PageRoute, own_path, page, redirect

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_REFUSED = "Invalid authentication credentials"
_LONGEST = 14 * 86400


@router.get("/login/")
def get_login(request: Request, call: Caller, next: str = "", token: str = "") -> Response:
    """The form; with a `token`, as in the link that `conda-store serve` prints, straight in."""
    target = own_target(call.options, request, next)
    if not token:
        return page(request, "login.html", next=target, refused="")
    actor = call.parts.authenticator.find(token)
    if actor is None:
        return page(request, "login.html", status_code=403, next=target, refused=_REFUSED)
    answer = redirect(target)
    _set_cookie(answer, request, call.options, token, actor)
    return answer


@router.post("/login/")
async def post_login(request: Request, call: Caller, next: str = "") -> Response:
    """JSON `{"username", "password"}` from programs, a form from the page. The password is a token."""
    if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
        return _log_in_by_json(request, call, next, await request.body())
    form = await _fields(request)
    target = own_target(call.options, request, next or form.get("next", ""))
    token = form.get("password", "").strip()
    actor = call.parts.authenticator.find(token) if token else None
    if actor is None:
        return page(request, "login.html", status_code=403, next=target, refused=_REFUSED)
    answer = redirect(target)
    _set_cookie(answer, request, call.options, token, actor)
    return answer


@router.post("/logout/")
def post_logout(request: Request, call: Caller, sent: Sent, next: str = "") -> Response:
    return _log_out(request, call.options, next or sent.text("next"))


@router.get("/logout/")
def get_logout(request: Request) -> Response:
    """Asks: a link alone changes nothing."""
    return page(request, "logout.html")


def _log_in_by_json(request: Request, call: Caller, next: str, body: bytes) -> Response:
    try:
        document = json.loads(body)
    except ValueError:
        raise InvalidInput("the body is not JSON", hint='Send {"username": ..., "password": <token>}.') from None
    token = document.get("password") if isinstance(document, dict) else None
    actor = call.parts.authenticator.find(token) if isinstance(token, str) and token else None
    if actor is None:
        return refusal(403, _REFUSED)
    answer = JSON({"status": "ok", "data": {"redirect_url": own_target(call.options, request, next)}})
    _set_cookie(answer, request, call.options, str(token), actor)
    return answer


async def _fields(request: Request) -> dict[str, str]:
    async with request.form(max_files=0, max_fields=10) as form:
        return {name: value for name, value in form.multi_items() if isinstance(value, str)}


def _log_out(request: Request, options: ServerOptions, next: str) -> Response:
    answer = redirect(own_target(options, request, next))
    answer.delete_cookie(options.cookie_name, path="/", httponly=True, samesite="strict", secure=_is_secure(request))
    return answer


def _set_cookie(answer: Response, request: Request, options: ServerOptions, token: str, actor: Actor) -> None:
    """The token itself: clients read it from the cookie and send it on as a bearer's."""
    left = _LONGEST if actor.expires is None else int((actor.expires - datetime.now(UTC)).total_seconds())
    answer.set_cookie(
        options.cookie_name,
        token,
        max_age=min(left, _LONGEST),
        path="/",
        httponly=True,
        samesite="strict",
        secure=_is_secure(request),
    )
    answer.headers["Cache-Control"] = "no-store"


def _is_secure(request: HTTPConnection) -> bool:
    return request.url.scheme == "https"


def own_target(options: ServerOptions, request: HTTPConnection, wanted: str) -> str:
    """Where to go next: `wanted` if it is a path of ours, or a whole URL of this very server, else the first page."""
    home = own_path(options)
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return home
    if parts.scheme or parts.netloc:
        if parts.scheme not in {"http", "https"} or parts.netloc != request.url.netloc:
            return home
        wanted = parts.path + (f"?{parts.query}" if parts.query else "")
    plain = unquote(wanted)
    is_path = wanted.startswith("/") and not wanted.startswith("//")
    # browsers read a backslash as a slash, and drop control characters
    if not is_path or "\\" in plain or any(ord(character) < 33 or ord(character) == 127 for character in wanted):
        return home
    return wanted if f"{wanted.partition('?')[0]}/".startswith(f"{options.prefix}/") else home
