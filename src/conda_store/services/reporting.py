"""The reporter of a running build: its log and progress go to the database, a few times a second."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog

from conda_store.db import leases, logs
from conda_store.db.engine import Database
from conda_store.db.leases import Lease
from conda_store.domain.build import Progress
from conda_store.errors import Unavailable

logger = structlog.get_logger()

FLUSH_SECONDS = 0.15


class BuildReporter:
    """Collects what the builder tells and writes it in batches, from one task in the build's event loop.

    Callbacks may come from other threads: appending to a list and replacing a reference need no lock.
    """

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease
        self._text: list[str] = []
        self._progress: Progress | None = None
        self._task: asyncio.Task[None] | None = None

    def log(self, text: str) -> None:
        self._text.append(text if text.endswith("\n") else text + "\n")

    def progress(self, progress: Progress) -> None:
        self._progress = progress

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what is left, if that is possible."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        try:
            self.flush()
        except Unavailable as error:
            logger.error("end of a log is lost", build_id=self._lease.build_id, error=error.message)

    def flush(self) -> None:
        """Write what there is; what comes of a build that is no longer ours is dropped.

        Raises:
            Unavailable: the database cannot be written to; nothing is lost, the next call writes it.
        """
        count, progress = len(self._text), self._progress
        if not count and progress is None:
            return
        with self._database.write(is_own=True) as connection:
            if leases.hold(connection, self._lease):
                if count:
                    logs.append(connection, self._lease.build_id, "".join(self._text[:count]))
                if progress is not None:
                    leases.note(connection, self._lease, {"progress": progress.dump()})
        del self._text[:count]
        if self._progress is progress:
            self._progress = None

    async def _run(self) -> None:
        is_told = False
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                self.flush()
                is_told = False
            except Unavailable as error:
                if not is_told:
                    logger.warning("log cannot be written yet", build_id=self._lease.build_id, error=error.message)
                is_told = True


def stamp() -> str:
    """The present moment as logs show it, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
