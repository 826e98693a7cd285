"""Tells whoever waits that something was committed to the database.

One task looks, many wait: however many follow builds, the database is asked once. Nobody waits, nobody looks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from conda_store.db.engine import Changes, Database
from conda_store.db.records import BuildGlance
from conda_store.services import builds
from conda_store.services.context import Context

Found = TypeVar("Found")

# on SQLite looking is one pragma; elsewhere there is nothing to look at, and every round is taken for a change
_CHEAP_INTERVAL = 0.04
_INTERVAL = 0.25
# all is read again after so many seconds even where nothing seems to have changed
_REREAD = 5.0
_LOOK_AGAIN = 1.0


class Watcher:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes: Changes | None = None
        self._changed = asyncio.Event()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None
        self.is_ending = False

    def next_change(self) -> asyncio.Event:
        """Is set by the next commit of anybody. Take it before reading, then `wait` for it: so no change is missed."""
        return self._changed

    async def wait(self, change: asyncio.Event, seconds: float) -> bool:
        """Wait at most so many seconds; whether there was a change."""
        self._waiting += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(seconds):
                await change.wait()
            return True
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    def end(self) -> None:
        """The server is about to end: nobody is to wait any more."""
        self.is_ending = True
        self._announce()

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
                self._announce()

    def _announce(self) -> None:
        announced, self._changed = self._changed, asyncio.Event()
        announced.set()


class BuildWatch:
    """The state of the builds that somebody follows, read once for all of them."""

    def __init__(self, context: Context, watcher: Watcher) -> None:
        self._context = context
        self._watcher = watcher
        self._followers: Counter[int] = Counter()
        self._known: dict[int, BuildGlance] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def glances(self, build_id: int, heartbeat: float) -> AsyncIterator[BuildGlance | None]:
        """Each new state of a build, the present one first; None after every `heartbeat` seconds without news.

        Ends when the build is gone, and when the server is ending.
        """
        last: BuildGlance | None = None
        self._followers[build_id] += 1
        try:
            self._known |= await run_in_threadpool(builds.glances, self._context, [build_id])
            while not self._watcher.is_ending and (glance := self._known.get(build_id)) is not None:
                if glance != last:
                    last = glance
                    yield glance
                elif not await self._next(heartbeat):
                    yield None
        finally:
            self._followers[build_id] -= 1
            if not self._followers[build_id]:
                del self._followers[build_id]
                self._known.pop(build_id, None)

    async def _next(self, seconds: float) -> bool:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
            return True
        except TimeoutError:
            return False

    async def _read(self) -> None:
        while self._followers and not self._watcher.is_ending:
            change = self._watcher.next_change()
            wanted = list(self._followers)
            found = await run_in_threadpool(builds.glances, self._context, wanted)
            is_news = any(found.get(build_id) != self._known.get(build_id) for build_id in wanted)
            self._known = {build_id: found[build_id] for build_id in found if build_id in self._followers}
            if is_news:
                self._announce()
            await self._watcher.wait(change, _REREAD)
        self._announce()

    def _announce(self) -> None:
        announced, self._news = self._news, asyncio.Event()
        announced.set()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Looks:
    """What is looked for, by key, as long as somebody waits for it."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}
        self._waiting: Counter[asyncio.Task[Any]] = Counter()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._waiting.total()

    @contextmanager
    def shared(
        self, key: Hashable, change: asyncio.Event, look: Callable[[], Found | None]
    ) -> Iterator[asyncio.Task[Found | None]]:
        """The task that gives what `look` gives, once it gives something; nothing where the server is ending."""
        task = self._tasks.get(key)
        if task is None or task.done():
            task = self._tasks[key] = asyncio.create_task(self._look(change, look))
            # an error that nobody waits for any more is nobody's
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._waiting[task] += 1
        try:
            yield task
        finally:
            self._waiting[task] -= 1
            if not self._waiting[task]:
                del self._waiting[task]
                task.cancel()
                if self._tasks.get(key) is task:
                    del self._tasks[key]

    async def _look(self, change: asyncio.Event, look: Callable[[], Found | None]) -> Found | None:
        while not self._watcher.is_ending:
            await self._watcher.wait(change, _LOOK_AGAIN)
            change = self._watcher.next_change()
            if (found := await run_in_threadpool(look)) is not None:
                return found
        return None
