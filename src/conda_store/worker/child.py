"""The process in which jobs run: it dies with its worker, and can be killed at any moment.

Started by `multiprocessing`'s fork server, which has imported everything before (see `processes`).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait

import structlog

from conda_store.db.environments import LinkChange
from conda_store.errors import Interrupted, Unavailable
from conda_store.services.context import Context
from conda_store.services.ending import Outcome
from conda_store.services.housekeeping import clear, take_out_trash, tidy, tidy_ended
from conda_store.services.packages import refresh_index
from conda_store.services.packing import make_artifact
from conda_store.services.run_build import run_build
from conda_store.services.temporary_files import own_temporary_directory
from conda_store.worker.jobs import ArtifactJob, BuildJob, Chore, Job

logger = structlog.get_logger()

_PR_SET_PDEATHSIG = 1


def main(prepare: Callable[[], None], make_context: Callable[[], Context], pipe: Connection) -> None:
    """Do the jobs that come through the pipe, until it is closed; each is answered with what came of it."""
    threading.Thread(target=_die_with_worker, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    prepare()
    asyncio.run(_serve(make_context, pipe))


def _die_with_worker() -> None:
    """End when the worker does. The kernel cannot be asked for that: our parent is the fork server, not the worker."""
    worker = parent_process()
    if worker is not None:
        wait([worker.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)


def die_with_parent(number: signal.Signals, parent: int) -> None:
    """Ask the kernel for a signal when the parent process ends (Linux; elsewhere the closed pipe has to do).

    `parent` is its id as it was told by itself: it may have ended before this process asks who it is.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os.kill(os.getpid(), number)


async def _serve(make_context: Callable[[], Context], pipe: Connection) -> None:
    context = make_context()
    with own_temporary_directory(context.deployment):
        try:
            while True:
                try:
                    job: Job = await asyncio.to_thread(pipe.recv)
                except (EOFError, ConnectionResetError):
                    return
                outcome = await _do(context, job)
                with suppress(ConnectionError):  # the worker is gone, as the next turn will tell
                    pipe.send(outcome)
        finally:
            await context.close()


async def _do(context: Context, job: Job) -> Outcome:
    if isinstance(job, BuildJob):
        return await run_build(context, job.lease)
    if isinstance(job, ArtifactJob):
        try:
            await asyncio.to_thread(make_artifact, context, job.artifact)
        except Unavailable as error:
            return Outcome(failure=Interrupted(error.message, hint=error.hint))
        return Outcome()
    try:
        return Outcome(await _CHORES[job.chore](context) or ())
    except Exception:
        logger.exception("chore failed", chore=job.chore.value)
        return Outcome()


_CHORES: dict[Chore, Callable[[Context], Awaitable[tuple[LinkChange, ...] | None]]] = {
    Chore.CLEAR: clear,
    Chore.TRASH: take_out_trash,
    Chore.FINISH: tidy_ended,
    Chore.INDEX: refresh_index,
    Chore.TIDY: tidy,
}
