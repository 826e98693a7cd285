"""Every error of the registry and its token service in their form, also where no route was reached."""

from __future__ import annotations

import json
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from conda_store.server.registry.answers import VERSION, Refusal

_CODES = {400: "NAME_INVALID", 403: "DENIED", 404: "NAME_UNKNOWN", 405: "UNSUPPORTED", 413: "SIZE_INVALID"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MARK = next(iter(VERSION)).lower().encode()


class RegistryForm:
    """Says in the specification's words what the parts before the routes, and the router, refuse: bodies that are too
    large, names of other hosts, methods that there are not; and that something broke, which the log tells more of.
    Names with control characters are refused here: patterns of routes take a line's end for the end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (scope["path"].startswith("/v2/") or scope["path"] == "/token"):
            await self._app(scope, receive, send)
        elif _CONTROL.search(scope["path"]):
            refusal = Refusal("NAME_INVALID", "the address holds a control character")
            await refusal.answer()(scope, receive, send)
        else:
            translated = _Translated(scope, receive, send)
            try:
                await self._app(scope, receive, translated)
            except Exception:
                if not translated.has_begun:
                    refusal = Refusal("UNKNOWN", "the server failed; its log says why")
                    await refusal.answer()(scope, receive, send)
                raise


class _Translated:
    """Passes an answer on; a refusal that is not in the registry's form is kept back until it is whole."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._refused: Message | None = None
        self._body = b""
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_foreign(message):
            self._refused = message
        elif self._refused is None:
            self.has_begun = True
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                self.has_begun = True
                await self._refusal(self._refused).answer()(self._scope, self._receive, self._send)

    def _refusal(self, start: Message) -> Refusal:
        kept = {name.decode(): value.decode() for name, value in start["headers"] if name in {b"allow", b"connection"}}
        return Refusal(_CODES[start["status"]], _message(self._body), headers=kept)


def _is_foreign(start: Message) -> bool:
    return start["status"] in _CODES and all(name.lower() != _MARK for name, _ in start["headers"])


def _message(body: bytes) -> str:
    """What our other routes would have said."""
    try:
        content = json.loads(body)
    except ValueError:
        return ""
    return str(content.get("message", "")) if isinstance(content, dict) else ""
