"""Tells whoever waits that something was committed to the database.

One task looks, many wait: however many follow builds, the database is asked once. Nobody waits, nobody looks.
"""

from __future__ import annotations

import asyncio

from starlette.concurrency import run_in_threadpool

from conda_store.db.engine import Changes, Database

# on SQLite looking is one pragma; elsewhere there is nothing to look at, and every round is taken for a change
_CHEAP_INTERVAL = 0.04
_INTERVAL = 0.25


class Watcher:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes: Changes | None = None
        self._changed = asyncio.Event()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    async def change(self, timeout: float) -> bool:
        """Wait for the next commit of anybody, at most `timeout` seconds; whether there was one."""
        self._waiting += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
            return True
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._changes is not None:
            self._changes.close()
            self._changes = None

    async def _look(self) -> None:
        if self._changes is None:
            self._changes = await run_in_threadpool(Changes, self._database)
        interval = _CHEAP_INTERVAL if self._changes.is_cheap else _INTERVAL
        idle = 0
        while idle < 3:
            await asyncio.sleep(interval)
            idle = 0 if self._waiting else idle + 1
            if self._changes.any():
                announced, self._changed = self._changed, asyncio.Event()
                announced.set()
