"""The cache of made packages, and the channel directory that is put together out of it.

Packages in a channel are hard links into the cache where the file system allows: replace such a file, never edit it.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .conda_package import Package, Tree, write_conda
from .process import ChannelError, say
from .tiny import index

_STATE = ".made-by-tools-channel.json"


@dataclass(frozen=True)
class Made:
    """A package in the cache. `path` is where it belongs in a channel, `record` its index.json."""

    key: str
    path: str
    record: dict[str, object]
    about: dict[str, object]


class Cache:
    """Downloads, interpreters and packages under one directory; `locked` before anything else."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._packages = self.folder("packages")

    def folder(self, name: str) -> Path:
        path = self.directory / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One run at a time; the kernel frees the lock of a run that dies."""
        with (self.directory / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waiting for another run that uses the same cache")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def package(self, key: str, make: Callable[[], tuple[Package, Tree]]) -> Made:
        """The package with this key, made unless it is there. Threads may call it for different keys at once."""
        made = self.made(key)
        if made is None:
            package, tree = make()
            write_conda(self._packages / f"{key}.conda", package, tree)
            made = Made(key, f"{package.subdir}/{package.file_name}", package.index_json(), dict(package.about))
            write_text(self._packages / f"{key}.json", json.dumps(vars(made)))
        return made

    def made(self, key: str) -> Made | None:
        """The package with this key if it is there."""
        described = self._packages / f"{key}.json"
        with suppress(FileNotFoundError):
            if (self._packages / f"{key}.conda").exists():
                return Made(**json.loads(described.read_text()))
        return None

    def place(self, made: Made, channel: Path) -> None:
        target = channel / made.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        source = self._packages / f"{made.key}.conda"
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)


def key_of(*parts: object) -> str:
    """A key for whatever the parts say: 24 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:24]


def package_key(*parts: object) -> str:
    """A key that is another one also when the modules that make packages are."""
    return key_of(_recipe_digest(), *parts)


@functools.cache
def _recipe_digest() -> str:
    others = {"__init__", "__main__", "make", "plan", "process", "serve", "store", "tiny"}
    files = sorted(path for path in Path(__file__).parent.glob("*.py") if path.stem not in others)
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def write_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


def assemble(out: Path, packages: list[Made], cache: Cache) -> bool:
    """Make `out` a channel of exactly these packages, indexed. False if it was that already."""
    state = out / _STATE
    if out.exists() and not state.exists() and any(out.iterdir()):
        raise ChannelError(f"{out} is not empty and no channel of this tool", "name a new or an empty directory")
    was = json.loads(state.read_text()) if state.exists() else {}
    due = {made.path: made.key for made in packages}
    there = {path.relative_to(out).as_posix() for path in out.glob("*/*.conda")}
    if was == due and there == set(due):
        return False
    out.mkdir(parents=True, exist_ok=True)
    write_text(state, "{}")  # from here until the end, the channel is not what any state says
    for path in there - set(due):
        (out / path).unlink()
    for made in packages:
        if made.path not in there or was.get(made.path) != made.key:
            cache.place(made, out)
    index(out)
    write_text(state, json.dumps(due, sort_keys=True))
    return True
