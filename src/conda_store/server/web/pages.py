"""All pages together, and the one for what is not there."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from conda_store.errors import NotFound
from conda_store.server.parts import parts_of
from conda_store.server.web import (
    audit,
    build,
    create,
    credential,
    design,
    documentation,
    environment,
    former_paths,
    home,
    namespace,
    namespaces,
    settings,
    sharing,
    system,
    token,
    user,
)
from conda_store.server.web.rendering import error_page, too_large_page

ROUTERS: tuple[APIRouter, ...] = (
    home.router,
    create.router,
    environment.router,
    build.router,
    namespaces.router,
    namespace.router,
    sharing.router,
    settings.router,
    credential.router,
    user.router,
    token.router,
    audit.router,
    system.router,
    design.router,
    documentation.router,
    former_paths.router,
)
# what programs ask for
_OTHERS = ("/api/", "/storage/", "/static/", "/v2/")


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """404, as a page for whoever wants one and in the framework's shape for programs."""
    answer: Response = JSONResponse({"detail": "Not Found"}, status_code=404)
    if scope["type"] == "http":
        request = Request(scope, receive)
        if _wants_page(request):
            error = NotFound("there is no such page", hint="The address may be mistyped, or the page has moved.")
            answer = await run_in_threadpool(error_page, request, error)
    await answer(scope, receive, send)


async def too_large(request: Request) -> Response | None:
    """The page that refuses a body for its size; None for programs."""
    return await run_in_threadpool(too_large_page, request) if _wants_page(request) else None


def _wants_page(request: Request) -> bool:
    path = request.scope["path"].removeprefix(parts_of(request).options.prefix)
    return "text/html" in request.headers.get("accept", "") and not path.startswith(_OTHERS)
