"""Who fetches a package that several builds need at the same moment, in one process or in many: who holds its claim.

A claim is a locked file, which is gone once it is released and worth nothing once its process has ended. Whoever holds
claims never waits for another's, so nobody waits in a circle.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from conda_store.domain.lock import CondaPackage

_TOUCH_INTERVAL = 5.0  # seconds


class Claims:
    """The claims of one installation.

    A claim that its holder has not touched for `patience` seconds (its process is frozen, say) no longer keeps others
    away: then the package is fetched twice.
    """

    def __init__(self, folder: Path, patience: float) -> None:
        self._folder = folder
        self._patience = patience
        self._held: dict[str, int | None] = {}
        self._touched_at = time.monotonic()

    def take(self, package: CondaPackage) -> bool:
        """Whether this installation fetches the package now, or else another does."""
        key = _key(package)
        if key in self._held:
            return True
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / key
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                is_stale = time.time() - os.fstat(descriptor).st_mtime > self._patience
                os.close(descriptor)
                if is_stale:
                    self._held[key] = None
                return is_stale
            if _is_file(descriptor, path):
                os.utime(descriptor)
                self._held[key] = descriptor
                return True
            os.close(descriptor)  # it was released in between, and the file is another

    def touch(self) -> None:
        """Show that this process is alive; cheap to call often."""
        now = time.monotonic()
        if now - self._touched_at > _TOUCH_INTERVAL:
            self._touched_at = now
            for descriptor in self._held.values():
                if descriptor is not None:
                    os.utime(descriptor)

    def release(self, packages: Iterable[CondaPackage] | None = None) -> None:
        """Let go of these claims; None of all."""
        for key in list(self._held) if packages is None else [_key(package) for package in packages]:
            descriptor = self._held.pop(key, None)
            if descriptor is not None:
                # while it is locked nobody else can mean another file by this name
                with contextlib.suppress(OSError):
                    (self._folder / key).unlink()
                os.close(descriptor)


def _key(package: CondaPackage) -> str:
    return hashlib.sha256(package.url.encode()).hexdigest()


def _is_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
