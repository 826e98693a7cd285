"""What browsers are told about every answer, and which requests of theirs are refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from conda_store.server.rendering import refusal

# nothing is loaded from elsewhere, nothing inline is run, nobody frames us
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    # of our own pages the origin has to come along with forms: it tells them from those of other sites
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class SecurityHeaders:
    """Adds the headers that an answer does not have of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                added = [header for header in _HEADERS if header[0] not in given]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


class SameOrigin:
    """Refuses what a browser sends to change something on behalf of a page that is not ours (CSRF).

    Cookies do not tell the ports of a machine apart: without this, whatever page is served on another port of
    localhost could act for whoever is logged in here. Programs send neither header and are let through, and so are
    origins that may call the API, and tokens in the Authorization header, which no browser adds by itself.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str] = (), origin_regex: str | None = None) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._pattern = re.compile(origin_regex) if origin_regex else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _SAFE or self._is_own(scope):
            await self._app(scope, receive, send)
            return
        answer = refusal(
            403, "this request was sent by a page of another site", hint="Open conda-store itself and do it there."
        )
        await answer(scope, receive, send)

    def _is_own(self, scope: Scope) -> bool:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get(b"origin")
        if headers.get(b"authorization", "").lower().startswith("bearer "):
            return True
        if origin is not None and self._is_allowed(origin):
            return True
        site = headers.get(b"sec-fetch-site")
        if site is not None:
            return site in {"same-origin", "none"}
        return origin is None or urlsplit(origin).netloc.lower() == headers.get(b"host", "").lower()

    def _is_allowed(self, origin: str) -> bool:
        if origin in self._origins:
            return True
        return self._pattern is not None and self._pattern.fullmatch(origin) is not None
