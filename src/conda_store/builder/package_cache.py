"""One cache of extracted packages for all environments, guarded against what happens in an environment.

Environments are hard-linked from here, so a file changed in place in one of them would change in all. Therefore every
package is *sealed* after its extraction: the files that get linked lose their write permission, and a small record
beside the cache keeps what later builds need to know (files, bytes, which files become an environment's own copies)
without looking at the package again. Against the superuser, whom permissions do not stop, `check` compares the
packages with their seals.

Layout below the root::

    packages/   rattler's package cache; an entry is named after package and URL
    sealed/     <sha256 of the package's URL>.json
    pyc/        compiled modules of noarch packages (see `pyc`)
    uv/         uv's cache
    trash/      dropped packages, to be deleted later
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from rattler.package_cache import PackageCache as RattlerCache

from conda_store.builder.removal import set_aside
from conda_store.domain.lock import CondaPackage

_TEMPORARY_SUFFIX = 6  # rattler extracts into `.<entry><six characters>`
_LINKABLE = 0o444
_EXECUTABLE = 0o111


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
    """Files of an extracted package are missing."""


class PackageCache:
    """Safe to use from several processes and threads at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.packages = root / "packages"
        self.sealed = root / "sealed"
        self.pyc = root / "pyc"
        self.uv = root / "uv"
        self.trash = root / "trash"
        for directory in (self.packages, self.sealed, self.pyc):
            directory.mkdir(parents=True, exist_ok=True)
        # one object for the process: a second one would not know of extractions that the first still does.
        # The origin counts, so that equally named packages of two channels are two entries.
        self.rattler = RattlerCache(self.packages).with_cached_origin()
        self._seals: dict[str, Seal] = {}

    def directory(self, package: CondaPackage) -> Path:
        """Where the package is extracted to."""
        if seal := self._stored(_key(package)):
            return self.packages / seal.directory
        origin = hashlib.sha256(_origin(package.url).encode()).hexdigest()
        return self.packages / f"{package.name}-{package.version}-{package.build}-{origin}"

    def seal_of(self, package: CondaPackage) -> Seal | None:
        """The package's seal while it holds; None when the package has to be fetched or sealed.

        Costs one `stat`. A package whose directory changed is looked through, and dropped where files are missing.
        """
        key = _key(package)
        seal = self._stored(key)
        if seal is None:
            return None
        directory = self.packages / seal.directory
        try:
            status = directory.stat()
        except OSError:
            self._forget(key)
            return None
        if status.st_ino != seal.inode or (package.sha256 and seal.sha256 and package.sha256 != seal.sha256):
            self._forget(key)
            return None
        if status.st_mtime_ns == seal.changed:
            return seal
        if not _matches(directory, seal):
            self.drop(package)
            return None
        return self._keep(key, replace(seal, changed=status.st_mtime_ns))

    def seal(self, package: CondaPackage, directory: Path | None = None) -> Seal:
        """Take the write permissions of the extracted package's files and record it; `directory` where it is known.

        Raises:
            DamagedPackage: it is not there, or files are missing.
        """
        directory = directory or self.directory(package)
        try:
            status = directory.stat()
            seal = _sealed(directory, status, package.sha256)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedPackage(f"package {package.file_name} in the cache is damaged: {error}") from error
        return self._keep(_key(package), seal)

    def drop(self, package: CondaPackage) -> None:
        """Take the package out of the cache; environments keep the files that they share with it."""
        directory = self.directory(package)
        self._forget(_key(package))
        with contextlib.suppress(OSError):
            set_aside(directory, self.trash)

    def tidy(self) -> int:
        """Set aside what killed processes left: unfinished extractions, temporary files. How many there were."""
        found = 0
        for entry in os.scandir(self.packages):
            if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False) and self._is_abandoned(entry.name):
                with contextlib.suppress(OSError):
                    found += set_aside(Path(entry.path), self.trash) is not None
        an_hour_ago = time.time() - 3600
        for path in [*self.sealed.glob(".*"), *self.pyc.glob("*/.*")]:
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime < an_hour_ago:
                    found += set_aside(path, self.trash) is not None
        return found

    def check(self, *, repair: bool = True) -> Iterator[tuple[str, bool]]:
        """Compare every sealed package with its seal, one for each step: its directory's name, and if it is sound.

        With `repair` damaged ones are dropped, so that the next build fetches them again.
        """
        for path in sorted(self.sealed.glob("*.json")):
            seal = self._stored(path.stem)
            if seal is None:
                continue
            directory = self.packages / seal.directory
            is_sound = _matches(directory, seal)
            if not is_sound and repair:
                self._forget(path.stem)
                with contextlib.suppress(OSError):
                    set_aside(directory, self.trash)
            yield seal.directory, is_sound

    def _keep(self, key: str, seal: Seal) -> Seal:
        _write_json(self.sealed / f"{key}.json", asdict(seal))
        self._seals[key] = seal
        return seal

    def _stored(self, key: str) -> Seal | None:
        if seal := self._seals.get(key):
            return seal
        try:
            raw = json.loads((self.sealed / f"{key}.json").read_bytes())
            values: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()
            }
            seal = Seal(**values)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        self._seals[key] = seal
        return seal

    def _forget(self, key: str) -> None:
        self._seals.pop(key, None)
        (self.sealed / f"{key}.json").unlink(missing_ok=True)

    def _is_abandoned(self, name: str) -> bool:
        """Nobody holds the lock of the entry that was being extracted to the directory `name`."""
        try:
            with (self.packages / f"{name[1:-_TEMPORARY_SUFFIX]}.lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
        except FileNotFoundError:
            return False
        except OSError:
            return False


def _key(package: CondaPackage) -> str:
    return hashlib.sha256(package.url.encode()).hexdigest()


def _origin(url: str) -> str:
    """What rattler names an entry after: the URL, or the path of a local file."""
    return unquote(urlsplit(url).path) if url.startswith("file:") else url


def _sealed(directory: Path, status: os.stat_result, sha256: str | None) -> Seal:
    files = size = 0
    own = []
    for entry in package_paths(directory):
        path = entry["_path"]
        full = f"{directory}/{path}"
        item = os.lstat(full)
        if stat.S_ISDIR(item.st_mode):
            continue
        files += 1
        if entry.get("prefix_placeholder") or entry.get("no_link"):
            own.append(path)
            continue
        size += item.st_size
        if stat.S_ISREG(item.st_mode):
            mode = _LINKABLE | (_EXECUTABLE if item.st_mode & _EXECUTABLE else 0)
            if stat.S_IMODE(item.st_mode) != mode:
                os.chmod(full, mode)  # noqa: PTH101 - tens of thousands of them
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


def package_paths(directory: Path) -> list[dict[str, Any]]:
    """The entries of paths.json; of a package from before paths.json what `files` and `has_prefix` say."""
    info = directory / "info"
    if (info / "paths.json").exists():
        entries: list[dict[str, Any]] = _read_json(info / "paths.json")["paths"]
        return entries
    prefixed = set()
    if (info / "has_prefix").exists():
        prefixed = {line.split()[-1].strip("\"'") for line in (info / "has_prefix").read_text().splitlines() if line}
    return [
        {"_path": path, **({"prefix_placeholder": "yes"} if path in prefixed else {})}
        for path in (info / "files").read_text().splitlines()
        if path
    ]


def link_script(directory: Path) -> str | None:
    """The path of the post-link script in a package or prefix directory, of the one package in it."""
    name = _read_json(directory / "info" / "index.json").get("name", "")
    path = f"bin/.{name}-post-link.sh"
    return path if name and (directory / path).exists() else None


def _matches(directory: Path, seal: Seal) -> bool:
    """Every file is there, and together they are as many bytes as were sealed, none of them writable."""
    files = size = 0
    own = set(seal.own)
    try:
        for entry in package_paths(directory):
            item = os.lstat(f"{directory}/{entry['_path']}")
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return value if isinstance(value, dict) else {}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    temporary.write_text(json.dumps(value, separators=(",", ":")))
    temporary.replace(path)
