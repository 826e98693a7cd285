"""An id for every request, in every line that is logged on its behalf; and the last word on what nobody expected."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import structlog
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = structlog.get_logger()

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestLog:
    """Binds `request_id` (the caller's `X-Request-ID`, or a new one), and logs failures; the rest at level debug.

    A crash is answered `Internal Server Error`: details are in the log only.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started = time.monotonic()
        status = 0
        scope.setdefault("state", {})

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                logger.exception("request crashed", method=scope["method"], path=scope["path"])
                if status == 0:
                    answer = PlainTextResponse("Internal Server Error", status_code=500)
                    await answer(scope, receive, send_with_id)
            finally:
                fields: dict[str, Any] = {"method": scope["method"], "path": scope["path"], "status": status}
                if reason := scope["state"].get("refused_because"):
                    logger.info("request refused", **fields, reason=reason)
                log = logger.warning if status >= 500 else logger.debug
                log("request", **fields, milliseconds=round((time.monotonic() - started) * 1000, 1))


def _request_id(scope: Scope) -> str:
    given = next((value for key, value in scope["headers"] if key == b"x-request-id"), b"").decode("latin-1")
    return given if _ID.fullmatch(given) else uuid.uuid4().hex[:16]
