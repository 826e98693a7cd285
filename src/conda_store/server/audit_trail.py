"""Every request has a trail of what it was permitted and refused (see `domain.audit`)."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from conda_store.auth.rate import RateLimit
from conda_store.domain.audit import AuditEntry, Trail, on_trail
from conda_store.errors import Unavailable
from conda_store.server.attempts import network_of
from conda_store.services.auditing import write_refusals
from conda_store.services.context import Context

logger = structlog.get_logger()


class AuditTrail:
    """Begins the trail, and writes down at the end what was refused: of each so much that nobody fills the disk with
    it, which the server's log tells of. What was allowed is always written. `clock` tells seconds."""

    def __init__(self, app: ASGIApp, context: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._context = context
        self._of_each = RateLimit(100, 600, clock=clock)
        self._of_strangers = RateLimit(2000, 3600, clock=clock)
        self._warnings = RateLimit(1, 60, clock=clock)

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
                    trail.refused = [entry for entry in trail.refused if self._is_within_limits(entry)]
                    await self._write(trail)

    def _is_within_limits(self, entry: AuditEntry) -> bool:
        # a login that fails is one under any name
        is_stranger = entry.actor == "anonymous" or entry.action == "log-in"
        wait = self._of_each.take(f"from {network_of(entry.address)}" if is_stranger else entry.actor)
        if not wait and is_stranger:
            wait = self._of_strangers.take("")
        if wait and not self._warnings.take(""):
            logger.warning(
                "refusals are left out of the audit log for a while", actor=entry.actor, address=entry.address
            )
        return not wait

    async def _write(self, trail: Trail) -> None:
        try:
            await run_in_threadpool(write_refusals, self._context, trail)
        except Unavailable as error:
            logger.error("refusals cannot be written to the audit log", error=error.message)
