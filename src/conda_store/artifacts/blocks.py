"""Blocks of a byte stream, filled one after the other: what is read from files is put where it is compressed from."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

GZIP_WINDOW = 31  # of ISA-L: a deflate window of 32 KiB, in gzip's wrapping (RFC 1952)
_RECORD = 512
_ZEROS = bytes(_RECORD)


class Blocks(ABC):
    """A `tar_members.ByteSink`: appends to a block of `size` bytes, which `_pass_on` takes whenever it is full."""

    def __init__(self, size: int) -> None:
        self._size_of_block = size
        self._block = bytearray(size)
        self._view = memoryview(self._block)
        self._used = 0
        self.position = 0

    @abstractmethod
    def _pass_on(self) -> None:
        """Take the first `_used` bytes of the block; afterwards there is an empty one, and `_used` is 0."""

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes, of any length."""
        size = len(data)
        if self._used + size < self._size_of_block:
            self._view[self._used : self._used + size] = data
            self._used += size
            self.position += size
            return
        rest = memoryview(data)
        while rest:
            part = rest[: self._size_of_block - self._used]
            self._view[self._used : self._used + len(part)] = part
            self._advance(len(part))
            rest = rest[len(part) :]

    def write_member(self, header: bytes, descriptor: int, size: int) -> bool:
        """Append a member of a tar: its header, `size` bytes read from a file descriptor, and zeros up to a whole
        record. False where the file ends before: then the stream is of no more use."""
        padding = -size % _RECORD
        start = self._used + len(header)
        end = start + size
        if end + padding >= self._size_of_block:
            self.write(header)
            is_whole = self._fill(descriptor, size)
            self.write(_ZEROS[:padding])
            return is_whole
        view = self._view
        view[self._used : start] = header
        if size and os.readv(descriptor, [view[start:end]]) != size:
            return False
        if padding:
            view[end : end + padding] = _ZEROS[:padding]
        self.position += end + padding - self._used
        self._used = end + padding
        return True

    def _fill(self, descriptor: int, size: int) -> bool:
        left = size
        while left:
            count = os.readv(descriptor, [self._view[self._used : min(self._size_of_block, self._used + left)]])
            if count == 0:
                return False
            left -= count
            self._advance(count)
        return True

    def _advance(self, count: int) -> None:
        self._used += count
        self.position += count
        if self._used == self._size_of_block:
            self._pass_on()
