"""Directories that belong to a running process. Whatever ends it, others see by a lock that it is gone.

The lock is a file in the directory that is open for writing: network file systems lock nothing else exclusively.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from uuid import uuid4

from conda_store.builder.removal import set_aside

_LOCK = ".in-use"


class OccupiedDirectory:
    """A new directory below `parent`, locked until it is closed or its process ends.

    Raises:
        OSError: it cannot be made, or not be locked.
    """

    def __init__(self, parent: Path, trash: Path) -> None:
        self._trash = trash
        while True:
            self.path = parent / uuid4().hex
            self.path.mkdir(parents=True)
            if (descriptor := _locked(self.path)) is not None:
                self._descriptor = descriptor
                return
            # it was taken for abandoned before it was locked

    def close(self) -> None:
        """Remove it; what is in it is set aside."""
        try:
            with contextlib.suppress(FileNotFoundError):
                (self.path / _LOCK).unlink()
            self.path.rmdir()
        except OSError:
            with contextlib.suppress(OSError):
                set_aside(self.path, self._trash)
        finally:
            os.close(self._descriptor)


def set_aside_abandoned(parent: Path, trash: Path) -> int:
    """Set the directories aside whose processes are gone. How many there were."""
    found = 0
    for path in parent.iterdir() if parent.is_dir() else ():
        with contextlib.suppress(OSError):
            if (descriptor := _locked(path)) is not None:
                try:
                    found += set_aside(path, trash) is not None
                finally:
                    os.close(descriptor)
    return found


def _locked(directory: Path) -> int | None:
    """A descriptor that holds the directory's lock; None where another does, or it is gone.

    Raises:
        OSError: it cannot be locked.
    """
    lock = directory / _LOCK
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), lock.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
