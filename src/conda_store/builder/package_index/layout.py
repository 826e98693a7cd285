"""Where the files of the index are, and how a file is replaced."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FORMAT = 1
_STAGING = ".new"


@dataclass(frozen=True)
class Layout:
    """The files in `directory`. Names are digests of URLs, and carry the format's number."""

    directory: Path

    @property
    def catalog(self) -> Path:
        return self.directory / f"catalog-{FORMAT}.sqlite"

    def part(self, channel: str, subdir: str) -> Path:
        return self.directory / f"part-{FORMAT}-{_digest(channel, subdir)}.sqlite"

    def parts(self) -> list[Path]:
        return sorted(self.directory.glob(f"part-{FORMAT}-*.sqlite"))

    def summaries(self, channel: str) -> Path:
        return self.directory / f"summaries-{FORMAT}-{_digest(channel)}.json"

    def repodata(self, channel: str, subdir: str) -> Path:
        """A directory of its own for each, so that the one file in it needs no guessing."""
        return self.directory / "repodata" / _digest(channel, subdir)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until no other process writes here, and keep them out. A process that dies lets go of the lock.

        What a process that died has left half written is removed.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for pattern in (f"*{_STAGING}*", "repodata/*/.tmp*"):
                for leftover in self.directory.glob(pattern):
                    leftover.unlink(missing_ok=True)
            yield


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to; once the block ends well it takes the place of `target`, in one step."""
    staging = target.with_name(target.name + _STAGING)
    try:
        yield staging
        with staging.open("rb") as file:
            os.fsync(file.fileno())  # a rename must not outlive the content after a loss of power
        staging.replace(target)
    finally:
        staging.unlink(missing_ok=True)


def _digest(channel: str, subdir: str = "") -> str:
    return hashlib.sha256(f"{channel}\n{subdir}".encode()).hexdigest()[:24]
