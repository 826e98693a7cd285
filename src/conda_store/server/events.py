"""A build's progress and log as server-sent events (HTML standard, section 9.2)."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from conda_store.db.records import BuildGlance
from conda_store.domain.build import BuildStatus, Progress
from conda_store.errors import NotFound, Unavailable
from conda_store.server.parts import Call
from conda_store.services import artifacts, builds

_RETRY_MILLISECONDS = 1000


async def opened(call: Call, build_id: int) -> None:
    """
    Raises:
        NotFound: there is no such build, or the caller may not see it.
    """
    await run_in_threadpool(builds.find_build, call.context, call.actor, build_id)


async def build_events(
    call: Call, request: Request, build_id: int, *, has_logs: bool, last_id: str | None
) -> AsyncIterator[bytes]:
    """The events of a build until it ends; a comment now and then keeps the connection.

    Who loses the right to read, or ends the session, is told no more after one heartbeat.
    """
    yield f"retry: {_RETRY_MILLISECONDS}\n\n".encode()
    log = _Log(call, build_id, int(last_id) if last_id and last_id.isdecimal() and len(last_id) < 16 else 0)
    progress: Mapping[str, Any] | None = None
    looked = time.monotonic()
    async for glance in call.parts.builds.glances(build_id, call.options.heartbeat):
        if time.monotonic() - looked >= call.options.heartbeat:
            looked = time.monotonic()
            if not await run_in_threadpool(_may_still_read, call, request, build_id):
                return
        if glance is None:
            yield b": still here\n\n"
            continue
        text = ""
        if has_logs:
            # deleted meanwhile: what is left to be told is the end
            with suppress(NotFound):
                text = await log.news(glance)
        if text:
            yield _event("log", {"text": text}, log.sent)
        if (current := _progress(glance)) != progress:
            progress = current
            yield _event("progress", current)
        if glance.status.has_ended:
            yield _event("end", {"status": glance.status, "status_info": glance.status_info})
            return
    if call.parts.watcher.is_ending:
        return  # the client asks again, where there is a server then
    yield _event("end", {"status": BuildStatus.CANCELED, "status_info": "the build has been deleted"})


def _may_still_read(call: Call, request: Request, build_id: int) -> bool:
    try:
        builds.find_build(call.context, call.parts.authenticator.actor_now(request), build_id)
    except NotFound:
        return False
    except Unavailable:
        pass  # nobody can be asked now: what was right a moment ago holds
    return True


class _Log:
    """What of a log has been sent, in characters: so it can be gone on with when the chunks have become a blob."""

    def __init__(self, call: Call, build_id: int, sent: int) -> None:
        self._call = call
        self._build_id = build_id
        self._sequence = 0
        self._skip = sent
        self.sent = sent

    async def news(self, glance: BuildGlance) -> str:
        """What was written since."""
        call = self._call
        if glance.status.has_ended:
            whole = await run_in_threadpool(artifacts.whole_log, call.context, call.actor, self._build_id)
            text = whole[self.sent :]
        elif glance.log_sequence > self._sequence:
            _, chunks = await run_in_threadpool(
                builds.log_after, call.context, call.actor, self._build_id, self._sequence
            )
            text = "".join(chunk.text for chunk in chunks)
            self._sequence = chunks[-1].sequence if chunks else self._sequence
            text, self._skip = text[self._skip :], max(self._skip - len(text), 0)
        else:
            return ""
        self.sent += len(text)
        return text


def _progress(glance: BuildGlance) -> dict[str, Any]:
    numbers = Progress().dump() | dict(glance.progress or {})
    return {
        "status": glance.status,
        "phase": numbers["phase"],
        "packages_done": numbers["packages_done"],
        "packages_total": numbers["packages_total"],
        "bytes_done": numbers["bytes_done"],
        "bytes_total": numbers["bytes_total"],
        "packages_linked": numbers["packages_linked"],
        "remaining": numbers["remaining"],
        "status_info": glance.status_info,
    }


def _event(name: str, data: Mapping[str, Any], number: int | None = None) -> bytes:
    identity = f"id: {number}\n" if number is not None else ""
    return f"event: {name}\n{identity}data: {json.dumps(data)}\n\n".encode()
