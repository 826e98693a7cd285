"""Requests that wait until something has been made; no thread waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from conda_store.errors import Unavailable
from conda_store.server.parts import Call

Found = TypeVar("Found")

_LOOK_AGAIN = 1.0
_GONE = 499  # nobody reads it; the log does


async def until_made(
    call: Call, request: Request, change: asyncio.Event, what: str, look: Callable[[], Found | None]
) -> Found:
    """What `look` gives, once it gives something. `change` was taken before `what` was asked for.

    Raises:
        Unavailable: it takes longer than a request waits, or the server is ending.
        HTTPException: the client has gone.
    """
    watcher = call.parts.watcher
    deadline = time.monotonic() + call.options.packing_wait
    while not watcher.is_ending and (left := deadline - time.monotonic()) > 0:
        await watcher.wait(change, min(left, _LOOK_AGAIN))
        if await request.is_disconnected():
            raise HTTPException(_GONE, "the client has gone")
        change = watcher.next_change()
        if (found := await run_in_threadpool(look)) is not None:
            return found
    raise Unavailable(
        f"{what} is still being made, ask again in a few seconds", hint="It goes on being made meanwhile."
    )
