"""The process that refreshes the index: `python -m conda_store.builder.package_index.child`.

It reads one line of JSON (a `Request`) from standard input and writes one (`{"failures": [...]}`) to standard output.
When standard input ends before its work does, whoever started it is gone, and so it ends too.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import sqlite3
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from conda_store.builder.package_index.catalog import is_current, present_parts, write_catalog
from conda_store.builder.package_index.layout import Layout
from conda_store.builder.package_index.part import PartMeta, write_part
from conda_store.builder.package_index.repodata import Fetcher, Source
from conda_store.builder.package_index.request import Request
from conda_store.errors import ChannelUnavailable, CondaStoreError, DiskFull, Unavailable


class Refresh:
    """One refresh, with the lock held."""

    def __init__(self, request: Request, layout: Layout) -> None:
        self.request = request
        self.layout = layout
        self.fetcher = Fetcher(layout, request.options)
        self.failures: list[CondaStoreError] = []
        self.parts = {(part.channel, part.subdir): part for part in present_parts(layout)}
        self._slots = asyncio.Semaphore(max(1, request.options.connections))
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        self._drop_unwanted()
        await asyncio.gather(*(self._channel(channel) for channel in self.request.channels))
        parts = present_parts(self.layout)
        if not is_current(self.layout, parts):
            await asyncio.to_thread(write_catalog, self.layout, parts)

    def _drop_unwanted(self) -> None:
        for (channel, subdir), part in self.parts.items():
            if channel not in self.request.channels or subdir not in self.request.subdirs:
                part.path.unlink(missing_ok=True)

    async def _channel(self, channel: str) -> None:
        tasks = [self._subdir(channel, subdir) for subdir in self.request.subdirs]
        if self.request.options.with_summaries and not self._is_fresh(channel):
            tasks.append(self._summaries(channel))
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        problems = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        missing = [problem for problem in problems if isinstance(problem, FileNotFoundError)]
        if len(missing) == len(self.request.subdirs):
            self.failures.append(_missing(channel, self.request.subdirs))
            return
        for subdir, outcome in zip(self.request.subdirs, outcomes, strict=False):
            if isinstance(outcome, FileNotFoundError):
                self.layout.part(channel, subdir).unlink(missing_ok=True)
        self.failures += [_as_error(problem, channel) for problem in problems if problem not in missing]

    async def _subdir(self, channel: str, subdir: str) -> None:
        part = self.parts.get((channel, subdir))
        if part is not None and self._was_checked(part):
            return
        async with self._slots:
            source = await self.fetcher.repodata(channel, subdir, part.state if part else None)
        if source is not None:
            async with self._writing:  # one at a time, for the memory
                await asyncio.to_thread(self._write, source)
        os.utime(self.layout.part(channel, subdir))  # checked now

    def _write(self, source: Source) -> None:
        path = self.layout.part(source.channel, source.subdir)
        try:
            write_part(path, source.channel, source.subdir, source.state, source.repodata)
        finally:
            source.repodata.close()

    async def _summaries(self, channel: str) -> None:
        async with self._slots:
            await self.fetcher.summaries(channel)

    def _was_checked(self, part: PartMeta) -> bool:
        return part.path.stat().st_mtime_ns >= self.request.asked_at

    def _is_fresh(self, channel: str) -> bool:
        """Whether another process has looked at all of the channel that is there since this was asked for."""
        parts = [part for (url, _), part in self.parts.items() if url == channel]
        return bool(parts) and all(part.path.exists() and self._was_checked(part) for part in parts)


def _missing(channel: str, subdirs: Iterable[str]) -> ChannelUnavailable:
    return ChannelUnavailable(
        f"The channel {channel} cannot be indexed: it has no repodata for {', '.join(subdirs)}",
        hint="Check its name; a short name is looked for below the channel alias.",
    )


def _as_error(problem: BaseException, channel: str) -> CondaStoreError:
    if isinstance(problem, CondaStoreError):
        return problem
    is_full = isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT)
    if is_full or (isinstance(problem, sqlite3.Error) and problem.sqlite_errorname == "SQLITE_FULL"):
        return DiskFull(
            f"The package index of {channel} cannot be written: the disk is full",
            hint="Make room where the package index is kept; the next refresh tries again.",
        )
    return Unavailable(f"The package index of {channel} cannot be written: {problem!r}")


async def refresh(request: Request) -> list[CondaStoreError]:
    """Bring parts and catalog up to date, and tell what failed; what failed stays as it was."""
    layout = Layout(Path(request.directory))
    with layout.locked():
        work = Refresh(request, layout)
        try:
            await work.run()
        except (OSError, sqlite3.Error) as error:
            work.failures.append(_as_error(error, ", ".join(request.channels)))
        return work.failures


def _end_with_parent() -> None:
    if not sys.stdin.buffer.read(1):
        os._exit(1)


def main() -> None:
    request = Request.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(OSError):
        os.nice(request.options.niceness)
    try:
        failures = asyncio.run(refresh(request))
    except Exception as error:  # the parent is told in any case
        failures = [Unavailable(f"The package index cannot be refreshed: {error!r}")]
    told = [{"kind": failure.code, "message": failure.message, "hint": failure.hint} for failure in failures]
    sys.stdout.write(json.dumps({"failures": told}) + "\n")
    sys.stdout.flush()
    os._exit(0)  # the thread above waits in a read, which the interpreter's own end would wait for


if __name__ == "__main__":
    main()
