"""Requests that wait until something has been made: no thread waits, and one looks for all who wait for the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import TypeVar

from fastapi import HTTPException, Request

from conda_store.errors import Unavailable
from conda_store.server.parts import Call

Found = TypeVar("Found")

_LOOK_AGAIN = 1.0
_GONE = 499  # nobody reads it; the log does


async def until_made(
    call: Call, request: Request, change: asyncio.Event, what: str, key: Hashable, look: Callable[[], Found | None]
) -> Found:
    """What `look` gives, once it gives something; whoever waits with the same `key` is given the same. `change` was
    taken before `what` was asked for.

    Raises:
        Unavailable: it takes longer than a request waits, or the server is ending.
        HTTPException: the client has gone.
    """
    deadline = time.monotonic() + call.options.packing_wait
    with call.parts.looks.shared(key, change, look) as task:
        while not call.parts.watcher.is_ending and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait({task}, timeout=min(left, _LOOK_AGAIN))
            if task.done() and (found := task.result()) is not None:
                return found
            if await request.is_disconnected():
                raise HTTPException(_GONE, "the client has gone")
    raise Unavailable(
        f"{what} is still being made, ask again in a few seconds", hint="It goes on being made meanwhile."
    )
