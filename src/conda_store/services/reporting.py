"""The reporter of a running build: its log and progress go to the database, a few times a second."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from conda_store.db import leases, logs
from conda_store.db.engine import Database
from conda_store.db.leases import Lease
from conda_store.domain.build import Phase, Progress

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
        self._phase: Phase | None = None
        self._task: asyncio.Task[None] | None = None

    def log(self, text: str) -> None:
        self._text.append(text if text.endswith("\n") else text + "\n")

    def progress(self, progress: Progress) -> None:
        self._progress = progress

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what is left."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.flush()

    def flush(self) -> None:
        text, self._text = self._text, []
        progress, self._progress = self._progress, None
        if not text and progress is None:
            return
        with self._database.write() as connection:
            if text:
                logs.append(connection, self._lease.build_id, "".join(text))
            if progress is not None:
                leases.note(connection, self._lease, {"progress": progress.dump()})

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.flush()


def stamp() -> str:
    """The present moment as logs show it, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
