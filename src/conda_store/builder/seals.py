"""What is known of a package in the cache, and the guard around its files."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conda_store.domain.package_paths import path_entries

_LINKABLE = 0o444
_EXECUTABLE = 0o111
_LINKS = {"softlink", "directory", None}  # None: an old package, which tells of no link that it is one


@dataclass(frozen=True)
class Seal:
    """What is known of an extracted package.

    `directory` is its name below `packages/`, `inode` and `changed` (nanoseconds) those of that directory.
    `files` counts what gets into an environment, links included; `size` is the bytes of those but `own`: the files of
    which an environment gets its own copy, since the prefix is written into them. `commands` are noarch entry points.
    """

    directory: str
    inode: int
    changed: int
    sha256: str | None
    files: int
    size: int
    own: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    is_noarch_python: bool = False
    has_link_script: bool = False


class DamagedPackage(Exception):
    """An extracted package cannot be sealed, for a `reason`."""

    def __init__(self, name: str, reason: object) -> None:
        super().__init__(f"package {name} in the cache is damaged: {reason}")
        self.reason = str(reason)


class MissingFiles(DamagedPackage):
    """Files of an extracted package are missing; the others are its own."""


class ReachesOutside(ValueError):
    """Linking a package would read or write what lies outside of the package, or of the environment."""


def leads_out(target: Path) -> bool:
    """Whether a symlink below leads to a directory outside: what is linked later could be written there."""
    root = os.path.realpath(target)
    directories = [root]
    while directories:
        with os.scandir(directories.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)
                elif entry.is_dir() and not f"{os.path.realpath(entry.path)}/".startswith(f"{root}/"):
                    return True
    return False


def make_seal(name: str, directory: Path, sha256: str | None) -> Seal:
    """Take the write permissions of the files that get linked, and count. `name` is for messages.

    A sealed package names files of its own alone: whoever links them follows `..`, and symlinks on the way.

    Raises:
        MissingFiles: some are not there.
        DamagedPackage: the directory is not there, what it names cannot be read, or reaches outside.
    """
    try:
        with _opened(directory) as descriptor:
            return _sealed(name, directory, descriptor, sha256)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedPackage(name, error) from error


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[int]:
    """Its descriptor: paths relative to it spare the system the way to it, for each of tens of thousands of files."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sealed(name: str, directory: Path, descriptor: int, sha256: str | None) -> Seal:
    status = os.fstat(descriptor)
    files = size = 0
    own = []
    missing: FileNotFoundError | None = None
    known: set[str] = set()
    for entry in package_paths(directory):
        path = entry["_path"]
        try:
            _require_inside(path, descriptor, known)
            item = os.stat(path, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError as error:
            # linking fails on it, but perhaps not before others were linked: they are looked at, too
            missing = missing or error
            continue
        if stat.S_ISDIR(item.st_mode):
            continue
        files += 1
        is_own = bool(entry.get("prefix_placeholder"))
        if stat.S_ISLNK(item.st_mode) and (is_own or entry.get("path_type") not in _LINKS):
            raise ReachesOutside(f"its file {path[:200]!r} is a link, and not told to be one")
        if is_own or entry.get("no_link"):
            own.append(path)
            continue
        size += item.st_size
        if stat.S_ISREG(item.st_mode):
            mode = _LINKABLE | (_EXECUTABLE if item.st_mode & _EXECUTABLE else 0)
            if stat.S_IMODE(item.st_mode) != mode:
                os.chmod(path, mode, dir_fd=descriptor)
    if missing is not None:
        raise MissingFiles(name, missing) from missing
    link = _read_json(directory / "info" / "link.json").get("noarch", {})
    return Seal(
        directory=directory.name,
        inode=status.st_ino,
        changed=status.st_mtime_ns,
        sha256=sha256,
        files=files,
        size=size,
        own=tuple(own),
        commands=tuple(item.split("=", 1)[0].strip() for item in link.get("entry_points") or ()),
        is_noarch_python=link.get("type") == "python",
        has_link_script=link_script(directory) is not None,
    )


def _require_inside(path: str, descriptor: int, known: set[str]) -> None:
    """`known` are directories of the package that are no links.

    Raises:
        ReachesOutside: the path leads out of the package, or could.
        FileNotFoundError: a directory on the way is missing.
    """
    if path.startswith("/") or (".." in path and ".." in path.split("/")):
        raise ReachesOutside(f"its file {path[:200]!r} lies outside")
    parent = path.rpartition("/")[0]
    while parent and parent not in known:
        if not stat.S_ISDIR(os.stat(parent, dir_fd=descriptor, follow_symlinks=False).st_mode):
            raise ReachesOutside(f"the way to its file {path[:200]!r} leads through a link")
        known.add(parent)
        parent = parent.rpartition("/")[0]


def package_paths(directory: Path) -> list[dict[str, Any]]:
    """What the package lists as its files.

    Raises:
        ValueError: that cannot be read.
    """
    info = directory / "info"
    return path_entries(lambda name: (info / name).read_bytes() if (info / name).exists() else None)


def link_script(directory: Path) -> str | None:
    """The path of the post-link script in a package or prefix directory, of the one package in it."""
    name = _read_json(directory / "info" / "index.json").get("name", "")
    path = f"bin/.{name}-post-link.sh"
    return path if name and (directory / path).exists() else None


def matches(directory: Path, seal: Seal) -> bool:
    """Every file is there, and together they are as many bytes as were sealed, none of them writable."""
    files = size = 0
    own = set(seal.own)
    try:
        with _opened(directory) as descriptor:
            for entry in package_paths(directory):
                item = os.stat(entry["_path"], dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISDIR(item.st_mode):
                    continue
                files += 1
                if entry["_path"] in own:
                    continue
                size += item.st_size
                if stat.S_ISREG(item.st_mode) and item.st_mode & 0o222:
                    return False
    except (OSError, ValueError, KeyError):
        return False
    return (files, size) == (seal.files, seal.size)


def is_linked(directory: Path, seal: Seal) -> bool:
    """Whether an environment shares files with the package; never where file systems have no hard links."""
    own = set(seal.own)
    for entry in package_paths(directory):
        if entry["_path"] not in own:
            with contextlib.suppress(FileNotFoundError):
                item = os.lstat(f"{directory}/{entry['_path']}")
                if stat.S_ISREG(item.st_mode) and item.st_nlink > 1:
                    return True
    return False


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return value if isinstance(value, dict) else {}
