"""The package index as others use it: refresh, search, channels."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from conda_store.builder.package_index.layout import Layout
from conda_store.builder.package_index.model import IndexedChannel, IndexOptions, PackagePage, PackageQuery
from conda_store.builder.package_index.readers import Readers
from conda_store.builder.package_index.request import Request
from conda_store.builder.package_index.search import search
from conda_store.errors import ChannelUnavailable, CondaStoreError, DiskFull, Unavailable

_CHILD = (sys.executable, "-m", "conda_store.builder.package_index.child")


class PackageIndex:
    """The packages of the channels indexed in `directory`, which any number of processes may share.

    `search` and `channels` may be called from several threads at once; what they open is closed by `close`.
    """

    def __init__(self, directory: Path, *, options: IndexOptions | None = None) -> None:
        self._layout = Layout(directory)
        self._options = options or IndexOptions()
        self._readers = Readers(self._layout.catalog)

    async def refresh(self, channels: Sequence[str], platforms: Sequence[str]) -> list[IndexedChannel]:
        """Index what has changed in the channels, for these platforms and noarch, in a child process.

        Other channels that were indexed before are dropped. Searches go on meanwhile. A process that waited for
        another's refresh takes over what that one has found. Credentials in URLs are left out before anything is done:
        private channels are read with those of rattler's authentication file.

        Raises:
            ChannelUnavailable: some of the channels could not be read (each is named). The others are indexed
                nevertheless, and of these the index keeps what it had.
            DiskFull: there is no room for the index.
            Unavailable: the refresh itself broke down.
        """
        request = Request.of(
            directory=str(self._layout.directory.absolute()),
            channels=channels,
            platforms=platforms,
            asked_at=time.time_ns(),
            options=self._options,
        )
        try:
            async with asyncio.timeout(self._options.timeout):
                answer = await _run_child(request)
        except TimeoutError:
            raise Unavailable(
                f"The package index was not refreshed within {self._options.timeout:g} s",
                hint="Packages are still listed as they were; the next refresh tries again.",
            ) from None
        _raise_failures(answer["failures"])
        return await asyncio.to_thread(self.channels)

    def search(self, query: PackageQuery) -> PackagePage:
        """The page of packages that the query asks for; an empty one while nothing is indexed.

        Raises:
            Unavailable: the index is damaged; a refresh makes it anew.
        """
        with self._readers.borrow() as connection:
            return search(connection, query) if connection else PackagePage((), 0)

    def channels(self) -> list[IndexedChannel]:
        """What is indexed, by channel and subdir.

        Raises:
            Unavailable: the index is damaged; a refresh makes it anew.
        """
        with self._readers.borrow() as connection:
            if connection is None:
                return []
            rows = connection.execute(
                "SELECT url, subdir, records, updated_at, unreadable"
                " FROM source JOIN channel ON id = channel ORDER BY url, subdir"
            ).fetchall()
        return [
            IndexedChannel(url, subdir, records, datetime.fromisoformat(updated_at), unreadable)
            for url, subdir, records, updated_at, unreadable in rows
        ]

    def close(self) -> None:
        """Let go of the open files; a later search opens them again."""
        self._readers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


async def _run_child(request: Request) -> dict[str, Any]:
    """What the child answered; it is killed when the caller is cancelled."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*_CHILD, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    try:
        process.stdin.write(request.to_json() + b"\n")  # and stays open: its end tells the child to end
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await process.stdin.drain()
        answer, complaint = await asyncio.gather(process.stdout.read(), process.stderr.read())
        code = await process.wait()
    finally:
        process.stdin.close()
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return dict(json.loads(answer))
    except ValueError:
        last = "".join(complaint.decode(errors="replace").strip().splitlines()[-1:])
        raise Unavailable(
            f"The process that refreshes the package index ended with code {code}: {last}",
            hint="Packages are still listed as they were; the next refresh tries again.",
        ) from None


def _raise_failures(failures: Sequence[dict[str, str]]) -> None:
    if not failures:
        return
    classes: tuple[type[CondaStoreError], ...] = (DiskFull, Unavailable, ChannelUnavailable)
    kinds = {failure["kind"] for failure in failures}
    error_class = next((each for each in classes if each.code in kinds), ChannelUnavailable)
    hints = dict.fromkeys(failure["hint"] for failure in failures if failure["hint"])
    raise error_class("\n".join(failure["message"] for failure in failures), hint="\n".join(hints))
