"""A layer being written: one pass gives the compressed blob, its digest, and that of what is in it (the diffID)."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import BinaryIO

from isal import isal_zlib

_BLOCK = 256 << 10
_GZIP_WINDOW = 31  # a deflate window of 32 KiB, in gzip's wrapping (RFC 1952)
_LEVEL = 2


@dataclass(frozen=True)
class WrittenLayer:
    """Sizes in bytes, digests sha256 in hex: of the compressed blob, and of the tar in it (`diff_id`)."""

    digest: str
    diff_id: str
    size: int
    content_size: int


class LayerStream:
    """A `tar_members.ByteSink` that compresses with ISA-L into `destination`, without threads of its own.

    Hashing and compressing let other threads run, so several layers are made at once by as many threads.
    """

    def __init__(self, destination: BinaryIO) -> None:
        self._destination = destination
        self._compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)
        self._content_digest = hashlib.sha256()
        self._digest = hashlib.sha256()
        self._size = 0
        self._block = bytearray(_BLOCK)
        self._view = memoryview(self._block)
        self._used = 0
        self._position = 0

    @property
    def position(self) -> int:
        return self._position

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes, of any length."""
        size = len(data)
        if self._used + size < _BLOCK:
            self._view[self._used : self._used + size] = data
            self._used += size
            self._position += size
            return
        rest = memoryview(data)
        while rest:
            part = rest[: _BLOCK - self._used]
            self._view[self._used : self._used + len(part)] = part
            self._advance(len(part))
            rest = rest[len(part) :]

    def fill(self, descriptor: int, size: int) -> int:
        """Append `size` bytes read from a file descriptor; returns how many there were, fewer where the file ends."""
        left = size
        while left:
            count = os.readv(descriptor, [self._view[self._used : min(_BLOCK, self._used + left)]])
            if count == 0:
                break
            left -= count
            self._advance(count)
        return size - left

    def finish(self) -> WrittenLayer:
        """Write what is left; the destination stays open."""
        self._flush()
        self._save(self._compressor.flush())
        return WrittenLayer(self._digest.hexdigest(), self._content_digest.hexdigest(), self._size, self._position)

    def _advance(self, count: int) -> None:
        self._used += count
        self._position += count
        if self._used == _BLOCK:
            self._flush()

    def _flush(self) -> None:
        part = self._view[: self._used]
        self._content_digest.update(part)
        self._save(self._compressor.compress(part))
        self._used = 0

    def _save(self, data: bytes) -> None:
        self._destination.write(data)
        self._digest.update(data)
        self._size += len(data)
