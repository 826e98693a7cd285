"""Slashes: paths with one too many or too few are redirected, and one behind the last query value is taken off."""

from __future__ import annotations

from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Match, Router
from starlette.types import ASGIApp, Receive, Scope, Send


class SlashRedirect:
    """Answers what no route matches: 307 to the same path with or without the slash at its end if that is a route,
    else 404. Method, body and query stay; the path keeps its percent-encoding, since names may hold `?` and `&`."""

    def __init__(self, router: Router, not_found: ASGIApp | None = None) -> None:
        self._router = router
        self._not_found = not_found or JSONResponse({"detail": "Not Found"}, status_code=404)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (target := self._target(scope)):
            await RedirectResponse(target)(scope, receive, send)
        else:
            await self._not_found(scope, receive, send)

    def _target(self, scope: Scope) -> str | None:
        path: str = scope["path"]
        other = path[:-1] if path.endswith("/") else f"{path}/"
        if not other or not self._is_route({**scope, "path": other}):
            return None
        raw = (scope.get("raw_path") or path.encode()).decode("latin-1")
        raw = raw[:-1] if raw.endswith("/") else f"{raw}/"
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        if not host:
            server = scope.get("server") or ("localhost", None)
            host = f"{server[0]}:{server[1]}" if server[1] else server[0]
        query = scope["query_string"].decode("latin-1")
        return f"{scope['scheme']}://{host}{raw}" + (f"?{query}" if query else "")

    def _is_route(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self._router.routes)


class QuerySlash:
    """The official client appends a slash to the whole URL, so that it ends up in the last value of the query
    (`?page=2/`): one such slash is taken off."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["query_string"].endswith(b"/") and scope["path"].startswith(self._path):
            scope = {**scope, "query_string": scope["query_string"][:-1]}
        await self._app(scope, receive, send)
