"""A byte stream on its way to a gzip file: filled here, compressed and written by threads of its own.

Blocks of 1 MiB come from a small pool, so memory stays flat however slow the destination is.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from isal import isal_zlib

from conda_store.artifacts.blocks import GZIP_WINDOW, Blocks

BLOCK_SIZE = 1 << 20
_BLOCKS = 6
_WAIT = 0.2

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Written:
    """What arrived at the destination: `size` in bytes, `sha256` in hex; `content_size` before compression."""

    size: int
    sha256: str
    content_size: int


class BlockStream(Blocks):
    """Compresses with ISA-L at `level` (0 to 3) into `destination`.

    Use it as a context manager, call `finish` as the last thing in it. Left without, it stops at once.
    What the destination raises comes out of whatever appends, or of `finish`.
    """

    def __init__(self, destination: BinaryIO, level: int, on_block: Callable[[int], None]) -> None:
        super().__init__(BLOCK_SIZE)
        self._destination = destination
        self._on_block = on_block
        self._compressor = isal_zlib.compressobj(level, isal_zlib.DEFLATED, GZIP_WINDOW)
        self._free: queue.Queue[bytearray] = queue.Queue()
        for _ in range(_BLOCKS - 1):
            self._free.put(bytearray(BLOCK_SIZE))
        self._full: queue.Queue[tuple[bytearray, int] | None] = queue.Queue()
        self._compressed: queue.Queue[bytes | None] = queue.Queue(_BLOCKS)
        self._failure: BaseException | None = None
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._guarded, args=(work,)) for work in (self._compress, self._save)]
        self._size = 0
        self._digest = hashlib.sha256()

    def __enter__(self) -> BlockStream:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    # --- filling -------------------------------------------------------------------------------------------

    def finish(self) -> Written:
        """Write what is left and wait until everything has arrived."""
        self._full.put((self._block, self._used))
        self._full.put(None)
        for thread in self._threads:
            thread.join()
        self._raise_failure()
        return Written(self._size, self._digest.hexdigest(), self.position)

    def _pass_on(self) -> None:
        self._full.put((self._block, self._used))
        self._block = self._next_free()
        self._view = memoryview(self._block)
        self._used = 0
        self._on_block(self.position)

    def _next_free(self) -> bytearray:
        while True:
            self._raise_failure()
            try:
                return self._free.get(timeout=_WAIT)
            except queue.Empty:
                continue

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    # --- the threads ---------------------------------------------------------------------------------------

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._failure = self._failure or error
            self._stopping.set()

    def _compress(self) -> None:
        while (item := self._take(self._full)) is not None:
            block, used = item
            data = self._compressor.compress(block if used == BLOCK_SIZE else memoryview(block)[:used])
            self._free.put(block)
            if data:
                self._give(data)
        self._give(self._compressor.flush())
        self._give(None)

    def _save(self) -> None:
        while (data := self._take(self._compressed)) is not None:
            self._destination.write(data)
            self._digest.update(data)
            self._size += len(data)

    def _take(self, source: queue.Queue[_Item]) -> _Item:
        while True:
            try:
                return source.get(timeout=_WAIT)
            except queue.Empty:
                if self._stopping.is_set():
                    raise _Stopped from None

    def _give(self, data: bytes | None) -> None:
        while True:
            try:
                self._compressed.put(data, timeout=_WAIT)
                return
            except queue.Full:
                if self._stopping.is_set():
                    raise _Stopped from None


class _Stopped(Exception):
    """The stream was left before its end."""
