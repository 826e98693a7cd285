"""Members of a tar stream: ustar headers (POSIX.1-1988), GNU's long names where a path needs them.

Everything belongs to 0:0, so the same tree gives the same bytes whoever packs it.
"""

from __future__ import annotations

import os
import tarfile
from functools import lru_cache
from typing import Protocol
from zlib import adler32

_RECORD = 512
_LARGEST_SIZE = 8**11
_END = bytes(2 * _RECORD)

REGULAR, SYMLINK, DIRECTORY = b"0", b"2", b"5"

# uid, gid, and after the link name: magic, version, no names of owners, device numbers
_OWNER = b"0000000\0" * 2
_TAIL = b"ustar\0" + b"00" + bytes(64) + b"0000000\0" * 2


def header(path: bytes, kind: bytes, *, mode: int, size: int = 0, mtime: int = 0, target: bytes = b"") -> bytes:
    """The header of a member. `mtime` in seconds since 1970; `size` is of a regular file's content, in bytes."""
    name, folder = _split(path)
    if name is None or len(target) > 100 or size >= _LARGEST_SIZE or not 0 <= mtime < _LARGEST_SIZE:
        return _gnu_header(path, kind, mode=mode, size=size, mtime=mtime, target=target)
    start = b"%b%07o\0%b%011o\0%011o\0" % (name.ljust(100, b"\0"), mode, _OWNER, size, mtime)
    end, sum_of_end = _end(kind, target, folder)
    # the low half of Adler-32 is one more than the sum of so few bytes
    return b"%b%06o\0 %b" % (start, (adler32(start) & 0xFFFF) - 1 + sum_of_end, end)


@lru_cache(maxsize=256)
def _end(kind: bytes, target: bytes, folder: bytes) -> tuple[bytes, int]:
    """What follows the checksum in a header, the same for most, and its part in the checksum."""
    end = b"%b%b%b%b" % (kind, target.ljust(100, b"\0"), _TAIL, folder.ljust(167, b"\0"))
    return end, sum(end) + 8 * ord(" ")


def _split(path: bytes) -> tuple[bytes | None, bytes]:
    """The path as ustar's name (100 bytes) and prefix (155), (None, b"") where it does not fit."""
    if len(path) <= 100:
        return path, b""
    at = path.find(b"/", len(path) - 101)
    if at < 0 or at > 155 or at == len(path) - 1:
        return None, b""
    return path[at + 1 :], path[:at]


def _gnu_header(path: bytes, kind: bytes, *, mode: int, size: int, mtime: int, target: bytes) -> bytes:
    info = tarfile.TarInfo(os.fsdecode(path))
    info.type = kind
    info.mode = mode
    info.size = size
    info.mtime = mtime
    info.linkname = os.fsdecode(target)
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


class ByteSink(Protocol):
    """Where members go: `block_stream.BlockStream`, `oci.layer_stream.LayerStream`."""

    @property
    def position(self) -> int:
        """The bytes that have been appended."""

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes, of any length."""

    def write_member(self, header: bytes, descriptor: int, size: int) -> bool:
        """Append a header and `size` bytes read from a file descriptor, in whole records; False where there are fewer
        bytes."""


class TarStream:
    """Writes members one after the other."""

    def __init__(self, stream: ByteSink) -> None:
        self._stream = stream

    def add_directory(self, path: str, *, mtime: int) -> None:
        self._stream.write(header(os.fsencode(path) + b"/", DIRECTORY, mode=0o755, mtime=mtime))

    def add_symlink(self, path: str, target: str, *, mtime: int) -> None:
        self._stream.write(header(os.fsencode(path), SYMLINK, mode=0o777, mtime=mtime, target=os.fsencode(target)))

    def add_bytes(self, path: str, data: bytes, *, mode: int, mtime: int) -> None:
        size = len(data)
        self._stream.write(header(os.fsencode(path), REGULAR, mode=mode, size=size, mtime=mtime))
        self._stream.write(data)
        self._stream.write(bytes(-size % _RECORD))

    def add_open_file(self, path: str, descriptor: int, *, size: int, mode: int, mtime: int) -> bool:
        """The first `size` bytes of an open file. False when it was shorter: then the stream is of no more use."""
        start = header(path.encode("utf-8", "surrogateescape"), REGULAR, mode=mode, size=size, mtime=mtime)
        return self._stream.write_member(start, descriptor, size)

    def end(self) -> None:
        """Two empty records and what fills the last block of 10 KiB, as tar programs write them."""
        self._stream.write(_END)
        self._stream.write(bytes(-self._stream.position % (20 * _RECORD)))
