"""The HTTP server as an ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Match

from conda_store import __version__
from conda_store.server import blobs, docs_page, errors
from conda_store.server.api import (
    artifacts,
    audit,
    builds,
    credentials,
    environments,
    metrics,
    namespaces,
    packages,
    settings,
    sharing,
    specifications,
    status,
    tokens,
)
from conda_store.server.api.documented import refusals
from conda_store.server.attempts import Attempts
from conda_store.server.audit_trail import AuditTrail
from conda_store.server.authentication import Authenticator
from conda_store.server.background import BackgroundLoop
from conda_store.server.guards import AllowedHosts, BehindProxy, BodyLimit, Head, PlainText
from conda_store.server.options import ServerOptions
from conda_store.server.parts import FIGURE_DAYS, FIGURE_HOURS, Parts
from conda_store.server.registry import routes as registry
from conda_store.server.registry import tokens as registry_tokens
from conda_store.server.registry.form import RegistryForm
from conda_store.server.request_log import RequestLog
from conda_store.server.slashes import QuerySlash, SlashRedirect
from conda_store.server.watching import BuildWatch, Looks, Watcher
from conda_store.server.web import authorize, login, pages, share, static_files
from conda_store.server.web.protection import SameOrigin, SecurityHeaders
from conda_store.services.context import Context
from conda_store.services.metrics import KeptFigures

API = tuple(
    module.router
    for module in (
        status,
        namespaces,
        environments,
        specifications,
        builds,
        artifacts,
        packages,
        settings,
        credentials,
        audit,
        tokens,
        sharing,
    )
)
LOGIN = (login.router, authorize.router, authorize.programs, share.router, static_files.router)
REGISTRY = (registry_tokens.router, registry.router)
_PREPARE_DELAY = 0.5  # seconds, for those who wait for the first answer
ROUTERS = (*API, blobs.router, metrics.router, *LOGIN, *pages.ROUTERS, *REGISTRY)


def create_app(
    context: Context, options: ServerOptions | None = None, *, clock: Callable[[], float] = time.monotonic
) -> FastAPI:
    """The application; it closes the context when it ends. `clock` tells seconds: how often something may be tried goes
    by it."""
    options = options or ServerOptions()
    watcher = Watcher(context.database)
    attempts = Attempts(clock)
    parts = Parts(
        context,
        options,
        Authenticator(context, options, attempts),
        watcher,
        BuildWatch(context, watcher),
        BackgroundLoop(),
        attempts,
        KeptFigures(context, FIGURE_DAYS, FIGURE_HOURS),
        Looks(watcher),
    )
    app = FastAPI(
        title="conda-store",
        version=__version__,
        openapi_url=f"{options.prefix}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.parts = parts
    errors.install(app)
    _add_routes(app, options)
    _add_middleware(app, options, context, clock)
    app.router.default = SlashRedirect(app.router, pages.not_found if options.enable_ui else None)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    preparing = asyncio.create_task(_prepare(app))
    yield
    preparing.cancel()
    await parts.builds.close()
    await parts.watcher.close()
    # the builder lives in the background loop
    await parts.background.run(parts.context.close())
    await run_in_threadpool(parts.background.close)


async def _prepare(app: FastAPI) -> None:
    """Once the server answers, do what the first specification would wait for: load the engine, and have the routes
    worked out that it and its events take, as FastAPI does when a router is first looked through.
    """
    await asyncio.sleep(_PREPARE_DELAY)
    parts: Parts = app.state.parts
    for method, path in (("POST", "/api/v1/specification/"), ("GET", "/api/v1/build/1/events/")):
        scope = {
            "type": "http",
            "method": method,
            "path": f"{parts.options.prefix}{path}",
            "root_path": "",
            "headers": [],
        }
        next((route for route in app.routes if route.matches(scope)[0] is Match.FULL), None)
    await run_in_threadpool(parts.context.builder.prepare)


def _add_routes(app: FastAPI, options: ServerOptions) -> None:
    if options.enable_registry:
        for router in REGISTRY:  # clients of registries know no prefix; routes are looked through from the first on
            app.include_router(router)
    if options.enable_api:
        for router in API:
            # any request may be refused before its route: for its host, or a zero byte in its address
            app.include_router(router, prefix=options.prefix, responses=refusals(400))
    app.include_router(blobs.router, prefix=options.prefix)
    if options.enable_metrics:
        app.include_router(metrics.router, prefix=options.prefix)
    for router in LOGIN + (pages.ROUTERS if options.enable_ui else ()):
        app.include_router(router, prefix=options.prefix)
    for path, method, function in options.additional_routes:
        app.add_api_route(path, function, methods=[method])
    if options.prefix and options.enable_ui:

        @app.get("/", include_in_schema=False)
        def get_root() -> Response:
            return RedirectResponse(f"{options.prefix}/")

    @app.get(f"{options.prefix}/redoc", include_in_schema=False)
    @app.get(f"{options.prefix}/docs", include_in_schema=False)
    def get_docs(request: Request) -> Response:
        style = f"{options.prefix}{static_files.asset_path('conda-store.css')}"
        document, url = request.app.openapi(), request.app.openapi_url
        return HTMLResponse(docs_page.docs_page(document, url, style=style, home=f"{options.prefix}/"))


def _add_middleware(app: FastAPI, options: ServerOptions, context: Context, clock: Callable[[], float]) -> None:
    """The last one added is asked first."""
    api = f"{options.prefix}/api/"
    app.add_middleware(QuerySlash, path=api)
    app.add_middleware(Head, path=api)
    app.add_middleware(PlainText)
    app.add_middleware(BodyLimit, largest=options.max_body_size, page=pages.too_large if options.enable_ui else None)
    app.add_middleware(SameOrigin, origins=options.cors_allow_origins, origin_regex=options.cors_allow_origin_regex)
    if options.cors_allow_origins or options.cors_allow_origin_regex:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=options.cors_allow_origins,
            allow_origin_regex=options.cors_allow_origin_regex,
            allow_credentials=True,
            allow_methods=["*"],
            allow_headers=["*"],
        )
    app.add_middleware(AllowedHosts, names=options.allowed_hosts)
    if options.enable_registry:
        app.add_middleware(RegistryForm)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(AuditTrail, context=context, clock=clock)
    app.add_middleware(RequestLog)
    if options.behind_proxy:
        app.add_middleware(BehindProxy, count=options.proxies)
