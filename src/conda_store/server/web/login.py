"""Logging in: with a token, a password, or elsewhere; and out again. It works without the other pages, too."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import Response

from conda_store.auth.providers.base import AuthenticationToken
from conda_store.auth.providers.oauth import GenericOAuthAuthentication
from conda_store.errors import CondaStoreError, Forbidden, NotAuthenticated
from conda_store.server.errors import rendered
from conda_store.server.options import ServerOptions
from conda_store.server.parts import Call, Caller
from conda_store.server.rendering import JSON, refusal
from conda_store.server.web.forms import Sent, fields_of
from conda_store.server.web.rendering import PageRoute, base_url, own_path, own_target, page, redirect
from conda_store.services import logins

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_REFUSED = "Invalid authentication credentials"
# whoever follows a link on another page must not find themselves logged in as somebody of that page's choice
_FROM_ELSEWHERE = "Another site has sent you here with a token"
# what a browser carries while its owner is at the provider
_STATE_COOKIE = "conda-store-login"
_STATE_LASTS = timedelta(minutes=15)


@router.get("/login/")
async def get_login(request: Request, call: Caller, next: str = "", token: str = "") -> Response:
    """The form, or the way to where people log in; with a `token`, as in the link that `serve` prints, straight in."""
    target = own_target(call.options, request, next)
    if token:
        if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            return _form(request, call, target, _FROM_ELSEWHERE, "To log in with it, copy the link to the address bar.")
        call.parts.attempts.count_login(request)
        actor = await run_in_threadpool(call.parts.authenticator.find, request, token)
        if actor is None or not actor.is_authenticated:
            logins.note_refused("", "wrong token")
            return _form(request, call, target, _REFUSED)
        call.parts.attempts.forgive(request)
        call.parts.attempts.count_token(actor.identity)
        session = await run_in_threadpool(logins.log_in_with_token, call.context, actor)
        return _with_cookie(redirect(target), request, call.options, *session)
    if call.options.login.is_elsewhere:
        return await _send_elsewhere(request, call, target)
    return _form(request, call, target)


@router.post("/login/")
async def post_login(request: Request, call: Caller, next: str = "") -> Response:
    """JSON `{"username", "password"}` from programs, a form from the page. A token will do for a password."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        fields = await fields_of(request)
        target = own_target(call.options, request, next or fields.get("next", ""))
        session = await _session(request, call, fields)
        if session is None:
            return _form(request, call, target, _REFUSED)
        return _with_cookie(redirect(target), request, call.options, *session)
    try:
        session = await _session(request, call, await fields_of(request))
    except CondaStoreError as error:
        return rendered(error)
    if session is None:
        return refusal(403, _REFUSED)
    answer = JSON({"status": "ok", "data": {"redirect_url": own_target(call.options, request, next)}})
    return _with_cookie(answer, request, call.options, *session)


async def _session(request: Request, call: Call, fields: Mapping[str, str]) -> tuple[str, datetime] | None:
    """A session, with its end, for a token or for name and password; None where they are wrong.

    Raises:
        TooManyRequests: too many were wrong.
    """
    name, password = fields.get("username", "").strip(), fields.get("password", "")
    call.parts.attempts.count_login(request, name)
    actor = (
        await run_in_threadpool(call.parts.authenticator.find, request, password.strip()) if password.strip() else None
    )
    if actor is not None and actor.is_authenticated:
        call.parts.attempts.forgive(request, name)
        call.parts.attempts.count_token(actor.identity)
        return await run_in_threadpool(logins.log_in_with_token, call.context, actor)
    if not call.options.login.is_elsewhere:
        request.state.credentials = (name, password)
        if person := await _vouched_for(request, call):
            call.parts.attempts.forgive(request, name)
            return await run_in_threadpool(logins.log_in, call.context, call.parts.authenticator.rules, person)
    logins.note_refused(name, "wrong password or token")
    return None


async def _vouched_for(request: Request, call: Call) -> AuthenticationToken | None:
    """Who it is, by a class that may be the operator's, and may block: nobody else waits for that."""
    return await run_in_threadpool(lambda: asyncio.run(call.options.login.authenticate(request)))


@router.get("/oauth_callback/")
async def get_oauth_callback(request: Request, call: Caller, state: str = "", error: str = "") -> Response:
    """Where people come back to from where they log in: with a code, in the browser that was sent there."""
    if not call.options.login.is_elsewhere:
        raise Forbidden("people log in here, not elsewhere", hint="Open the login page.")
    values = await run_in_threadpool(_state_of, request, call)
    if values is None or not hmac.compare_digest(values["state"].encode(), state.encode("utf-8", "replace")):
        raise NotAuthenticated("OAuth states do not match", hint="Log in once more, in this browser, within minutes.")
    if error:
        logins.note_refused("", "refused by the provider")
        raise Forbidden(f"the provider did not let you in: {error[:80]!r}", hint="Log in once more.")
    request.state.login = values
    person = await _vouched_for(request, call)
    if person is None:
        logins.note_refused("", "unknown to the provider")
        raise Forbidden(_REFUSED, hint="Log in once more.")
    token, ends = await run_in_threadpool(logins.log_in, call.context, call.parts.authenticator.rules, person)
    answer = redirect(own_target(call.options, request, values["next"]))
    answer.delete_cookie(_STATE_COOKIE, path="/", httponly=True, samesite="lax", secure=_is_secure(request))
    return _with_cookie(answer, request, call.options, token, ends)


@router.post("/logout/")
def post_logout(request: Request, call: Caller, sent: Sent, next: str = "") -> Response:
    """Ends the session here, too: its cookie is worth nothing any more, wherever it was copied to."""
    token = call.parts.authenticator.presented(request)
    if token:
        logins.log_out(call.context, call.actor, token)
    login = call.options.login
    answer = redirect(own_target(call.options, request, next or sent.text("next")))
    answer.delete_cookie(
        login.cookie_name,
        path="/",
        domain=login.cookie_domain,
        httponly=True,
        samesite="lax",
        secure=_is_secure(request),
    )
    return answer


@router.get("/logout/")
def get_logout(request: Request) -> Response:
    """Asks: a link alone changes nothing."""
    return page(request, "logout.html")


async def _send_elsewhere(request: Request, call: Call, target: str) -> Response:
    login = call.options.login
    assert isinstance(login, GenericOAuthAuthentication)
    callback = login.callback_url(request, f"{base_url(request, call.options)}/oauth_callback/")
    values = {name: secrets.token_urlsafe(32) for name in ("state", "verifier", "nonce")}
    url = await login.authorization_url(callback, values["state"], values["verifier"], values["nonce"])
    sign = call.parts.authenticator.states.sign
    signed = await run_in_threadpool(sign, values | {"next": target, "callback": callback}, _STATE_LASTS)
    answer = redirect(url, 307)
    answer.set_cookie(
        _STATE_COOKIE,
        signed,
        max_age=int(_STATE_LASTS.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=_is_secure(request),
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _state_of(request: Request, call: Call) -> dict[str, str] | None:
    return call.parts.authenticator.states.read(request.cookies.get(_STATE_COOKIE, ""))


def _form(request: Request, call: Call, target: str, refused: str = "", hint: str = "") -> Response:
    login = call.options.login
    status = 403 if refused else 200
    return page(
        request,
        "login.html",
        status_code=status,
        next=target,
        refused=refused,
        hint=hint
        or f"{'Name or password' if login.has_passwords else 'The token'} may have been mistyped, or expired.",
        has_passwords=login.has_passwords,
        elsewhere=own_path(call.options, "login", next=target) if login.is_elsewhere else "",
    )


def _with_cookie(answer: Response, request: Request, options: ServerOptions, token: str, ends: datetime) -> Response:
    """The session's token: clients read it from the cookie and send it on as a bearer's."""
    answer.set_cookie(
        options.login.cookie_name,
        token,
        max_age=max(int((ends - datetime.now(UTC)).total_seconds()), 0),
        path="/",
        domain=options.login.cookie_domain,
        httponly=True,
        # a login comes back from another site: a strict cookie would not be seen on the first page
        samesite="lax",
        secure=_is_secure(request),
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _is_secure(request: HTTPConnection) -> bool:
    return request.url.scheme == "https"
