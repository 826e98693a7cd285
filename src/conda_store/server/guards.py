"""What is looked at before any route: the host's name, bytes that no text holds, and HEAD."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from conda_store.server.rendering import refusal

# of bodies that are too large: how many times the limit is read before a page is answered
_THROWN_AWAY = 8


class AllowedHosts:
    """Refuses requests under names that are not ours.

    Without it a page of another site could have its own name resolve to 127.0.0.1 and read what a server there tells
    (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower().strip("[]") for name in names if not name.startswith("*"))
        self._domains = tuple(name[1:].lower() for name in names if name.startswith("*."))
        self._allows_all = not names or "*" in names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._allows_all or self._is_allowed(host_name(scope)):
            await self._app(scope, receive, send)
            return
        answer = refusal(
            400,
            f"this server does not answer to the name {host_name(scope)[:100]!r}",
            hint="Use one of its own names, or add this one to the allowed hosts of the server.",
        )
        await answer(scope, receive, send)

    def _is_allowed(self, name: str) -> bool:
        return name in self._names or (bool(self._domains) and name.endswith(self._domains))


def host_name(scope: Scope) -> str:
    """The name in the Host header, in lower case, without port; an IPv6 address without its brackets."""
    host = next((value for key, value in scope["headers"] if key == b"host"), b"").decode("latin-1").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] or host if host.rpartition(":")[2].isdigit() else host


class BehindProxy:
    """Takes client and scheme from what the proxies in front say: X-Forwarded-For, X-Forwarded-Proto.

    Each of `count` proxies adds an address to the former: what stands before theirs the client may have made up.
    """

    def __init__(self, app: ASGIApp, count: int) -> None:
        self._app = app
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            clients, schemes = _listed(scope, b"x-forwarded-for"), _listed(scope, b"x-forwarded-proto")
            if clients:
                scope = {**scope, "client": (clients[-self._count :][0], 0)}
            if schemes and schemes[-1] in {"http", "https"}:
                scope = {**scope, "scheme": schemes[-1]}
        await self._app(scope, receive, send)


def _listed(scope: Scope, name: bytes) -> list[str]:
    """The items of a header, which may stand in several lines."""
    lines = (value.decode("latin-1") for key, value in scope["headers"] if key == name)
    return [item for line in lines for text in line.split(",") if (item := text.strip())]


class PlainText:
    """Refuses the zero byte in paths and queries: no name holds it, and databases refuse it less politely."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            await refusal(400, f"the address holds a zero byte: {unquote(scope['path'])[:100]!r}")(scope, receive, send)
            return
        await self._app(scope, receive, send)


class Head:
    """Answers HEAD below a path as GET, without the body. Streams that do not end are left out."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = scope["type"] == "http" and scope["method"] == "HEAD" and scope["path"].startswith(self._path)
        if not is_ours or scope["path"].rstrip("/").endswith("/events"):
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, send_head)


class BodyLimit:
    """Refuses bodies of more than `largest` bytes, with 413: at once where their length is announced.

    `page` makes the refusal for people; None for whoever is no person. A browser sends all before it reads an answer:
    what comes, up to a few times the limit, is thrown away first.
    """

    def __init__(
        self, app: ASGIApp, largest: int, page: Callable[[Request], Awaitable[Response | None]] | None = None
    ) -> None:
        self._app = app
        self._largest = largest
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for key, value in scope["headers"] if key == b"content-length"), b"0")
        if announced.isdigit() and int(announced[:20]) > self._largest:
            page = await self._page(Request(scope)) if self._page is not None else None
            if page is not None:
                await self._drain(receive)
            answer = page or refusal(413, self._message(), headers={"Connection": "close"})
            await answer(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._largest:
                raise HTTPException(413, self._message())
            return message

        await self._app(scope, counted, send)

    async def _drain(self, receive: Receive) -> None:
        left = _THROWN_AWAY * self._largest
        while left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
            if not message.get("more_body"):
                return

    def _message(self) -> str:
        return f"the body is larger than {self._largest} bytes, which is the most that is taken"
