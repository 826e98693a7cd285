"""Child processes for jobs, forked in milliseconds from a server that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from conda_store.services.context import Context
from conda_store.services.ending import Outcome
from conda_store.worker import child
from conda_store.worker.jobs import Job

# a child is replaced after so many jobs: rattler's thread pools and caches grow
JOBS_OF_A_CHILD = 50


class Child:
    """A process that does one job at a time. `job` is what it is at, None while it waits; `began` is since when, and
    `completed` when it was first seen that its build is complete, in seconds of the monotonic clock."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process = process
        self.pipe = pipe
        self.job: Job | None = None
        self.began = 0.0
        self.completed: float | None = None
        self.jobs_done = 0
        self.outcome = Outcome()

    @property
    def signs(self) -> tuple[Connection, int]:
        """What becomes readable when it answers, and when it ends."""
        return self.pipe, self.process.sentinel

    def give(self, job: Job) -> None:
        self.job = job
        self.pipe.send(job)

    def has_finished(self) -> bool:
        """Whether it has answered since the job was given to it; `outcome` is its answer then.

        Raises:
            EOFError: it is gone.
        """
        was_alive = self.is_alive
        if not self.pipe.poll():
            if not was_alive:
                raise EOFError
            return False
        self.outcome = self.pipe.recv()
        self.jobs_done += 1
        self.job = None
        return True

    @property
    def is_alive(self) -> bool:
        return self.process.exitcode is None

    @property
    def is_worn(self) -> bool:
        return self.jobs_done >= JOBS_OF_A_CHILD

    def kill(self) -> None:
        """End it now, whatever it does."""
        self.process.kill()
        self.process.join(5)
        self.pipe.close()


class Nursery:
    """Makes children. `prepare` is called in each before its context is made; both are sent to it."""

    def __init__(self, make_context: Callable[[], Context], prepare: Callable[[], None]) -> None:
        self._make_context = make_context
        self._prepare = prepare
        self._multiprocessing = multiprocessing.get_context("forkserver")
        self._multiprocessing.set_forkserver_preload(["conda_store.worker.preloaded"])

    def prepare(self) -> None:
        """Start the fork server: it imports everything while the worker goes on, so that children come quickly.

        It listens at a socket in the temporary directory. The name of one has at most 107 bytes, which a directory deep
        in the store is longer than: so it is named by a descriptor, which stays open as long as we live.
        """
        before = tempfile.tempdir
        directory = os.open(tempfile.gettempdir(), os.O_RDONLY)
        tempfile.tempdir = f"/dev/fd/{directory}" if sys.platform == "linux" else before
        try:
            forkserver.ensure_running()
        finally:
            tempfile.tempdir = before

    def new(self) -> Child:
        ours, theirs = self._multiprocessing.Pipe()
        process = self._multiprocessing.Process(
            target=child.main, args=(self._prepare, self._make_context, theirs), daemon=True, name="conda-store-job"
        )
        process.start()
        theirs.close()
        return Child(process, ours)
