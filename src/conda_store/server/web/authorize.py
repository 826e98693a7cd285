"""Pages on which people log in their programs, and where the programs fetch their tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from conda_store.errors import CondaStoreError, InvalidInput, NotFound
from conda_store.server.parts import Call, Caller
from conda_store.server.rendering import JSON
from conda_store.server.web.forms import Sent, fields_of
from conda_store.server.web.protection import CONTENT_SECURITY_POLICY
from conda_store.server.web.rendering import PageRoute, base_url, own_path, page, redirect
from conda_store.services import login_grants

router = APIRouter(include_in_schema=False, route_class=PageRoute)
programs = APIRouter(include_in_schema=False)

_POLL_SECONDS = 2
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@router.get("/login/authorize/")
def get_authorize(
    request: Request,
    call: Caller,
    redirect_uri: str = "",
    code_challenge: str = "",
    code_challenge_method: str = "",
    state: str = "",
    name: str = "",
) -> Response:
    """Asks whether a program on this machine may act for whoever is logged in."""
    if not call.actor.is_authenticated:
        return _log_in_first(request, call)
    login_grants.require_confirming(call.actor)
    if not login_grants.is_own_machine(redirect_uri) or code_challenge_method != "S256":
        raise InvalidInput(
            "the request of the program cannot be read", hint="It has to come from `conda-store login` on this machine."
        )
    asked = {"redirect_uri": redirect_uri, "code_challenge": code_challenge, "state": state, "name": name}
    return _consent(request, call, own_path(call.options, "login", "authorize"), asked, name, redirect_uri)


@router.post("/login/authorize/")
def post_authorize(request: Request, call: Caller, sent: Sent) -> Response:
    target = sent.text("redirect_uri")
    login_grants.require_confirming(call.actor)
    if not login_grants.is_own_machine(target):
        raise InvalidInput("the request of the program cannot be read", hint="Start `conda-store login` again.")
    answer = {"state": sent.text("state")}
    if sent.text("answer") == "allow":
        name = sent.text("name") or "a program"
        answer["code"] = login_grants.grant_code(call.context, call.actor, target, sent.text("code_challenge"), name)
    else:
        answer["error"] = "access_denied"
    headers = {"Content-Security-Policy": _sending_to(target), "Cache-Control": "no-store"}
    return RedirectResponse(f"{target}?{urlencode(answer)}", 303, headers)


@router.get("/login/device/")
def get_device(request: Request, call: Caller, user_code: str = "") -> Response:
    """Asks for the code that a program shows, then whether it may act for whoever is logged in."""
    if not call.actor.is_authenticated:
        return _log_in_first(request, call)
    login_grants.require_confirming(call.actor)
    if not user_code:
        return page(request, "device.html", refused="", done="")
    call.parts.attempts.count_login(request, call.actor.identity)
    try:
        name = login_grants.find_device(call.context, call.actor, user_code)
    except NotFound as error:
        return page(request, "device.html", status_code=404, refused=f"{error.message}. {error.hint}", done="")
    call.parts.attempts.forgive(request, call.actor.identity)
    asked = {"user_code": user_code}
    return _consent(request, call, own_path(call.options, "login", "device"), asked, name, "")


@router.post("/login/device/")
def post_device(request: Request, call: Caller, sent: Sent) -> Response:
    call.parts.attempts.count_login(request, call.actor.identity)
    is_allowed = sent.text("answer") == "allow"
    login_grants.answer_device(call.context, call.actor, sent.text("user_code"), is_allowed=is_allowed)
    call.parts.attempts.forgive(request, call.actor.identity)
    done = "The program is logged in." if is_allowed else "The program is not logged in."
    return page(request, "device.html", refused="", done=f"{done} You may close this page.")


@programs.post("/login/device/code/")
async def post_device_code(request: Request, call: Caller) -> Response:
    """`{"name"}`: a login that waits to be confirmed on a page (RFC 8628)."""
    fields = await fields_of(request)
    call.parts.attempts.count_device(request)
    device = login_grants.ask_for_device(call.context, fields.get("name", "") or "a program")
    where = f"{base_url(request, call.options)}/login/device/"
    return _secret(
        {
            "device_code": device.device_code,
            "user_code": device.user_code,
            "verification_uri": where,
            "verification_uri_complete": f"{where}?{urlencode({'user_code': device.user_code})}",
            "expires_in": int(login_grants.DEVICE_LASTS.total_seconds()),
            "interval": _POLL_SECONDS,
        }
    )


@programs.post("/login/token/")
async def post_token(request: Request, call: Caller) -> Response:
    """The token for a code (RFC 6749, 4.1.3), or for a device that was confirmed (RFC 8628, 3.4)."""
    fields, rules = await fields_of(request), call.parts.authenticator.rules
    token: str | None
    call.parts.attempts.count_login(request)
    try:
        if fields.get("grant_type") == _DEVICE_GRANT:
            token = login_grants.redeem_device(call.context, rules, fields.get("device_code", ""))
        elif fields.get("grant_type") == "authorization_code":
            token = login_grants.redeem_code(
                call.context,
                rules,
                fields.get("code", ""),
                fields.get("code_verifier", ""),
                fields.get("redirect_uri", ""),
            )
        else:
            raise InvalidInput("unsupported_grant_type")
    except InvalidInput as error:
        return _oauth_error(error)
    call.parts.attempts.forgive(request)
    if token is None:
        return _oauth_error(InvalidInput("authorization_pending", hint="Nobody has confirmed it yet."))
    lifetime: timedelta = rules.token_lifetime
    return _secret({"access_token": token, "token_type": "Bearer", "expires_in": int(lifetime.total_seconds())})


def _oauth_error(error: CondaStoreError) -> Response:
    """In the form of RFC 6749, 5.2, and in ours."""
    content = {"error": error.message, "status": "error", "message": error.message, "hint": error.hint}
    return JSON(content, status_code=400, headers={"Cache-Control": "no-store"})


def _secret(content: Any) -> Response:
    return JSON(content, headers={"Cache-Control": "no-store"})


def _log_in_first(request: Request, call: Call) -> Response:
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return redirect(own_path(call.options, "login", next=here))


def _consent(
    request: Request, call: Call, action: str, asked: dict[str, str], name: str, redirect_uri: str
) -> Response:
    headers = {"Content-Security-Policy": _sending_to(redirect_uri)} if redirect_uri else {}
    return page(request, "consent.html", headers=headers, action=action, asked=asked, program=name or "a program")


def _sending_to(redirect_uri: str) -> str:
    """Browsers look at where a form is redirected to, as well."""
    parts = urlsplit(redirect_uri)
    return CONTENT_SECURITY_POLICY.replace("form-action 'self'", f"form-action 'self' http://{parts.netloc}")
