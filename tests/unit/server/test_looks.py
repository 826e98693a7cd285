"""Those who wait until the database says that something has been made."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from conda_store.db import migrate
from conda_store.db.engine import Database
from conda_store.errors import Conflict
from conda_store.server.watching import Looks, Watcher

WAITING = 30
LIMIT = 30.0  # seconds


class Made:
    """What is looked for; counts how often."""

    def __init__(self) -> None:
        self.value: str | None = None
        self.looks = 0
        self.looked = threading.Event()

    def look(self) -> str | None:
        self.looks += 1
        self.looked.set()
        if self.value == "broken":
            raise Conflict("it is broken")
        return self.value


@asynccontextmanager
async def watched(directory: Path) -> AsyncIterator[tuple[Looks, Watcher]]:
    """What waits, and what wakes it."""
    database = Database(f"sqlite:///{directory}/conda-store.sqlite")
    migrate.upgrade(database)
    watcher = Watcher(database)
    try:
        yield Looks(watcher), watcher
    finally:
        await watcher.close()
        database.close()


async def waits(looks: Looks, watcher: Watcher, made: Made) -> str | None:
    with looks.shared("image", watcher.next_change(), made.look) as task:
        await asyncio.wait({task}, timeout=LIMIT)
        return task.result()


def test_one_looks_for_all(tmp_path: Path) -> None:
    async def story() -> None:
        made = Made()
        async with watched(tmp_path) as (looks, watcher):
            waiting = [asyncio.create_task(waits(looks, watcher, made)) for _ in range(WAITING)]
            assert await asyncio.to_thread(made.looked.wait, LIMIT)
            assert made.looks < WAITING
            made.value = "made"
            assert await asyncio.gather(*waiting) == ["made"] * WAITING
            # who comes later looks anew
            made.value = "another"
            assert await waits(looks, watcher, made) == "another"

    asyncio.run(story())


def test_an_error_is_for_all_who_wait_and_nobody_else(tmp_path: Path) -> None:
    async def story() -> None:
        made = Made()
        async with watched(tmp_path) as (looks, watcher):
            made.value = "broken"
            waiting = [asyncio.create_task(waits(looks, watcher, made)) for _ in range(3)]
            answers = await asyncio.gather(*waiting, return_exceptions=True)
            assert [str(answer) for answer in answers] == ["it is broken"] * 3
            made.value = "mended"
            assert await waits(looks, watcher, made) == "mended"

    asyncio.run(story())


def test_nobody_looks_when_nobody_waits(tmp_path: Path) -> None:
    async def story() -> None:
        made = Made()
        async with watched(tmp_path) as (looks, watcher):
            waiting = [asyncio.create_task(waits(looks, watcher, made)) for _ in range(3)]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await asyncio.sleep(1)  # a look that has begun ends
            seen = made.looks
            await asyncio.sleep(1.5)  # longer than it takes until somebody looks again
            assert made.looks == seen

    asyncio.run(story())


def test_who_waits_when_the_server_ends_waits_no_more(tmp_path: Path) -> None:
    async def story() -> None:
        made = Made()
        async with watched(tmp_path) as (looks, watcher):
            waiting = asyncio.create_task(waits(looks, watcher, made))
            await asyncio.sleep(0)
            watcher.end()
            assert await waiting is None

    asyncio.run(story())
