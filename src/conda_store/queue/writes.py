"""Hearing of writes to a file, so that nobody has to ask all the time (inotify, on Linux)."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import Self

_IN_MODIFY = 0x2
_PIECE = 64 * 1024


class Writes:
    """`descriptor` is readable when somebody on this machine has written to the file since `forget` was called."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def to(cls, file: Path) -> Self | None:
        """None where the system cannot tell: the file is not there, or there is no inotify, or no watch left."""
        try:
            library = ctypes.CDLL(None)
            descriptor: int = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, AttributeError):
            return None
        if descriptor < 0:
            return None
        if library.inotify_add_watch(descriptor, os.fsencode(file), _IN_MODIFY) < 0:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def forget(self) -> bool:
        """Whether there were any."""
        were_any = False
        with contextlib.suppress(BlockingIOError):
            while os.read(self.descriptor, _PIECE):
                were_any = True
        return were_any

    def close(self) -> None:
        os.close(self.descriptor)
