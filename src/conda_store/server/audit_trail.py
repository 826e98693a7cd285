"""Every request has a trail of what it was permitted and refused (see `domain.audit`)."""

from __future__ import annotations

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from conda_store.domain.audit import Trail, on_trail
from conda_store.errors import Unavailable
from conda_store.services.auditing import write_refusals
from conda_store.services.context import Context

logger = structlog.get_logger()


class AuditTrail:
    """Begins the trail, and writes down at the end what was refused."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        request_id = structlog.contextvars.get_contextvars().get("request_id", "")
        with on_trail(Trail(client[0] if client else "", request_id)) as trail:
            try:
                await self._app(scope, receive, send)
            finally:
                if trail.refused:
                    await self._write(trail)

    async def _write(self, trail: Trail) -> None:
        try:
            await run_in_threadpool(write_refusals, self._context, trail)
        except Unavailable as error:
            logger.error("refusals cannot be written to the audit log", error=error.message)
