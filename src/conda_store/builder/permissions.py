"""Modes and owners of an environment's directories and own files.

Linked files are shared with the package cache: they stay read-only and the service's.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_umask_lock = threading.Lock()
_umask_users: list[int] = []
_umask_before = 0


@dataclass(frozen=True)
class Ownership:
    """`mode` for directories (own files get it without execution unless they are programs); None leaves things."""

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None

    @property
    def changes_owner(self) -> bool:
        return (self.uid not in (None, os.geteuid())) or (self.gid not in (None, os.getegid()))


@contextlib.contextmanager
def creation_mode(mode: int | None) -> Iterator[None]:
    """Within, new directories get `mode` at once where that is possible, which spares a walk.

    The umask is the whole process's: where another installation wants another mode at that moment, nothing is done,
    and `apply_ownership` walks.
    """
    global _umask_before
    wanted = None if mode is None or mode & stat.S_IRWXU != stat.S_IRWXU else 0o777 & ~mode
    if wanted is None:
        yield
        return
    with _umask_lock:
        is_taken = bool(_umask_users) and _umask_users[0] != wanted
        if not is_taken:
            before = os.umask(wanted)
            if not _umask_users:
                _umask_before = before
            _umask_users.append(wanted)
    try:
        yield
    finally:
        if not is_taken:
            with _umask_lock:
                _umask_users.pop()
                if not _umask_users:
                    os.umask(_umask_before)


def apply_ownership(prefix: Path, ownership: Ownership, own_files: Iterable[str] | None) -> None:
    """Give directories below `prefix`, and the environment's own files, their mode and owner; not `prefix` itself.

    `own_files` are paths relative to the prefix (absent ones are passed over); None means to look at every file.
    """
    mode = ownership.mode
    needs_directories = ownership.changes_owner or (mode is not None and _differs(prefix / "conda-meta", mode))
    if own_files is None or needs_directories:
        _walk(prefix, ownership, looks_at_files=own_files is None)
    for path in own_files or ():
        with contextlib.suppress(FileNotFoundError):
            _apply(os.path.join(prefix, path), ownership, is_directory=False)  # noqa: PTH118 - text is faster


def apply_root_ownership(prefix: Path, ownership: Ownership) -> None:
    """The same for the prefix directory, which must be writable until it has been renamed."""
    _apply(str(prefix), ownership, is_directory=True)


def _differs(directory: Path, mode: int) -> bool:
    return stat.S_IMODE(directory.stat().st_mode) != mode


def _walk(prefix: Path, ownership: Ownership, *, looks_at_files: bool) -> None:
    # from the bottom up: a directory that is no longer writable is not entered again
    for directory, names, files in os.walk(prefix, topdown=False):
        if looks_at_files:
            for name in files:
                path = f"{directory}/{name}"
                if os.lstat(path).st_nlink == 1:
                    _apply(path, ownership, is_directory=False)
        for name in names:
            path = f"{directory}/{name}"
            if not os.path.islink(path):  # noqa: PTH114
                _apply(path, ownership, is_directory=True)


def _apply(path: str, ownership: Ownership, *, is_directory: bool) -> None:
    status = os.lstat(path)
    if not is_directory and status.st_nlink > 1:
        return
    if ownership.mode is not None and not stat.S_ISLNK(status.st_mode):
        is_program = is_directory or status.st_mode & 0o100
        mode = ownership.mode if is_program else ownership.mode & 0o666
        if stat.S_IMODE(status.st_mode) != mode:
            os.chmod(path, mode)  # noqa: PTH101
    if ownership.changes_owner:
        uid = status.st_uid if ownership.uid is None else ownership.uid
        gid = status.st_gid if ownership.gid is None else ownership.gid
        if (uid, gid) != (status.st_uid, status.st_gid):
            os.chown(path, uid, gid, follow_symlinks=False)
