"""One process at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def _nothing() -> None:
    pass


@contextmanager
def locked(path: Path, *, on_wait: Callable[[], None] = _nothing) -> Iterator[None]:
    """Hold the lock file at `path`, which is created where it is missing and stays.

    `on_wait` is called once where another process holds it. The lock ends with the process at the latest. On Windows,
    where neither `run` nor `serve` exist, nothing is locked.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
