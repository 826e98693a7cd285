"""From templates to answers."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import jinja2
import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from markupsafe import Markup, escape
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from conda_store import __version__
from conda_store.db.paging import Page
from conda_store.domain.access import Actor, Target
from conda_store.domain.platform import current_platform
from conda_store.domain.roles import Permission
from conda_store.errors import CondaStoreError, InvalidInput, NotFound
from conda_store.server.errors import keep_reason, status_of
from conda_store.server.options import ServerOptions
from conda_store.server.parts import parts_of
from conda_store.server.web import shown
from conda_store.server.web.static_files import asset_path

logger = structlog.get_logger()

# bytes of HTML; what a page lists is cut shorter until it fits
LARGEST_PAGE = 60_000
# into how many parts lists are divided at most
_MOST_PARTS = 128
# what a page says after something was done: only these words can be asked for in an address
SAID = {
    "activated": "This build is now the active one.",
    "cancelled": "The build is being cancelled.",
    "build-deleted": "The build has been deleted.",
    "environment-deleted": "The environment has been deleted.",
    "described": "The description has been changed.",
    "namespace-created": "The namespace has been created.",
    "namespace-deleted": "The namespace has been deleted.",
    "settings-changed": "The settings have been changed.",
    "token-revoked": "It has been revoked.",
    "all-revoked": "All their tokens and logins have been ended.",
    "shared": "The role has been given.",
    "unshared": "The role has been taken back.",
    "link-revoked": "The link has been revoked.",
    "credential-set": "The credential has been set.",
    "credential-removed": "The credential has been removed.",
    "metadata-changed": "The metadata have been changed.",
    "logged-in": "You are logged in.",
    "logged-out": "You are logged out.",
}


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": shown.size, "age": shown.age, "clock": shown.clock, "shell": shlex.quote}
    environment.filters["ticked"] = shown.ticked
    environment.filters |= {"act": shown.act, "cut": shown.cut}
    environment.globals |= {"duration": shown.duration, "platform": current_platform().value}
    return environment


def own_path(options: ServerOptions, *names: str | int, **query: str | int | None) -> str:
    """The path of a page: `own_path(options, "environment", "team", "science")`."""
    path = "".join(f"/{quote(str(name), safe='')}" for name in names)
    given = {key: value for key, value in query.items() if value not in {None, ""}}
    return f"{options.prefix}{path}/" + (f"?{urlencode(given)}" if given else "")


def page(
    request: Request,
    template: str,
    *,
    status_code: int = 200,
    headers: dict[str, str] | None = None,
    again: str = "",
    editing: str = "",
    **values: Any,
) -> HTMLResponse:
    """A page, as the one who asks may see it. The answer to a form is loaded `again` from there, where it is given.

    A text that is there for `editing` comes on top of the bytes that a page may have.
    """
    parts = parts_of(request)
    options = parts.options
    actor = parts.authenticator.actor(request)

    def to(*names: str | int, **query: str | int | None) -> str:
        return own_path(options, *names, **query)

    def may(permission: str, namespace: str | None = None, environment: str | None = None) -> bool:
        return actor.may(Permission(permission), Target(namespace, environment))

    values |= {
        "to": to,
        "may": may,
        "may_create": _may_create_somewhere(actor),
        "asset": lambda name: f"{options.prefix}{asset_path(name)}",
        "actor": actor,
        "prefix": options.prefix,
        "base_url": base_url(request, options),
        "version": __version__,
        "said": SAID.get(request.query_params.get("said", ""), ""),
        "here": _here(request, options),
        "again": again if request.method == "POST" else "",
        "path": request.url.path,
        # the operator's own markup, out of the configuration
        "banner": Markup(options.template_vars.get("banner", "")),  # noqa: S704
        "logo": options.template_vars.get("logo", ""),
    }
    text = _fitting(_templates().get_template(template), values, LARGEST_PAGE + len(escape(editing).encode()))
    return HTMLResponse(text, status_code, {"Cache-Control": "no-store", "Vary": "Cookie"} | (headers or {}))


def _fitting(template: jinja2.Template, values: dict[str, Any], largest: int) -> str:
    """HTML of `largest` bytes: of a page of rows the beginning, of other lists as many as `most(75)` says."""
    fewer = 1
    while True:
        text = template.render(values, most=lambda number, fewer=fewer: max(number // fewer, 1))
        if len(text.encode()) <= largest or fewer > _MOST_PARTS:
            return text
        fewer *= 2
        values = {key: value.shorter() if isinstance(value, Page) else value for key, value in values.items()}


def _here(request: Request, options: ServerOptions) -> str:
    """Where to come back to after a login; the address of the login itself may hold a token."""
    if request.method != "GET" or request.url.path.startswith(own_path(options, "login")):
        return own_path(options)
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _may_create_somewhere(actor: Actor) -> bool:
    return actor.may_somewhere(Permission.ENVIRONMENT_CREATE)


def base_url(request: Request, options: ServerOptions) -> str:
    """How the one who asks names this service: `https://envs.example.org/conda-store`."""
    return f"{request.url.scheme}://{request.url.netloc}{options.prefix}"


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


def redirect(path: str, status: int = 303) -> RedirectResponse:
    """After a form: to a page that can be loaded again."""
    return RedirectResponse(path, status)


def error_page(request: Request, error: CondaStoreError, status: int | None = None) -> Response:
    """What was refused, and why; what somebody sent whose login has ended comes back with it."""
    status = status or status_of(error)
    sent: Mapping[str, str] = getattr(request.state, "sent", {})
    may_have_ended = status in {401, 403, 404} and request.method == "POST" and sent
    if may_have_ended and not parts_of(request).authenticator.actor(request).is_authenticated:
        return page(request, "ended.html", status_code=status, sent=sent)
    return page(request, "error.html", status_code=status, error_status=status, message=error.message, hint=error.hint)


def too_large_page(request: Request) -> Response:
    """For forms that are larger than bodies may be."""
    most = shown.size(parts_of(request).options.max_body_size)
    error = InvalidInput(
        f"what was sent is larger than {most}, which is the most that is taken",
        hint="Go back, and hand in a smaller file; a specification has a few kilobytes, a lockfile a few megabytes.",
    )
    return error_page(request, error, 413)


class PageRoute(APIRoute):
    """A route whose refusals are pages, and so is what nobody expected: the log has the rest."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Where forms are sent to there is nothing to see, whoever types or reloads the address."""
        if scope["method"] == "GET" and "GET" not in (self.methods or ()):
            error = NotFound("there is nothing to see at this address", hint="It is where a form is sent to.")
            answer = await run_in_threadpool(error_page, Request(scope, receive), error)
            await answer(scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            refusal: CondaStoreError
            try:
                return await handler(request)
            except CondaStoreError as error:
                refusal = error
                keep_reason(request, error)
            except RequestValidationError:
                refusal = NotFound("there is no such page", hint="The address may be mistyped.")
            except HTTPException as error:
                if error.status_code == 413:
                    return await run_in_threadpool(too_large_page, request)
                if error.status_code != 400:
                    raise
                refusal = InvalidInput(f"the form cannot be read: {error.detail}")
            except Exception:
                logger.exception("request crashed", method=request.method, path=request.url.path)
                found = structlog.contextvars.get_contextvars().get("request_id", "")
                hint = f"It is not your fault. The log of the server says more under request {found}."
                refusal = CondaStoreError("something went wrong that nobody expected", hint=hint)
            return await run_in_threadpool(error_page, request, refusal)

        return handle
