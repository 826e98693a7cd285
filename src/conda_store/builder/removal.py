"""Getting rid of directory trees: renamed away at once, deleted later and slowly.

On ext4, deleting tens of thousands of files while others are created makes creation ten times slower, so nothing is
deleted beside a build.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

TRASH_NAME = ".trash"


def set_aside(path: Path, trash: Path) -> Path | None:
    """Rename `path` (file, link or directory) into `trash`, which is made if need be; where it went, None if absent.

    Raises:
        OSError: `trash` lies on another file system, or may not be written.
    """
    target = trash / f"{path.name[:100]}.{uuid4().hex}"
    if not os.path.lexists(path):
        return None
    trash.mkdir(parents=True, exist_ok=True)
    try:
        path.rename(target)
    except FileNotFoundError:
        return None
    except PermissionError:
        # to move a directory its owner must be able to write to it: its `..` changes
        path.chmod(stat.S_IMODE(path.lstat().st_mode) | stat.S_IRWXU)
        path.rename(target)
    return target


async def empty_trash(trash: Path, *, files_per_step: int = 500, pause: float = 0.1) -> int:
    """Delete what is in `trash`, so many files at a time with a pause (seconds) between; how many files went.

    Can be cancelled at every pause; a later call goes on. What cannot be deleted is left for later calls.
    """
    removed = 0
    steps = _removals(trash)
    while count := await asyncio.to_thread(_step, steps, files_per_step):
        removed += count
        await asyncio.sleep(pause)
    return removed


def _step(steps: Iterator[None], count: int) -> int:
    done = 0
    for _ in steps:
        done += 1
        if done >= count:
            break
    return done


def _removals(directory: Path) -> Iterator[None]:
    """Delete everything below `directory`, one file for each step, never following a link."""
    _make_writable(directory)
    try:
        with os.scandir(directory) as listing:
            entries = list(listing)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _removals(path)
            with contextlib.suppress(OSError):
                path.rmdir()
        else:
            with contextlib.suppress(OSError):
                path.unlink()
                yield


def _make_writable(directory: Path) -> None:
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(directory.stat().st_mode)
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            directory.chmod(mode | stat.S_IRWXU)
