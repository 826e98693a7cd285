"""One cache of extracted packages for all environments, guarded against what happens in an environment.

Environments are hard-linked from here, so a file changed in place in one of them would change in all. Therefore every
package is *sealed* after its extraction: the files that get linked lose their write permission, and a small record
beside the cache keeps what later builds need to know (files, bytes, which files become an environment's own copies)
without looking at the package again. Against the superuser, whom permissions do not stop, `check` compares the
packages with their seals.

Nobody waits for the whole cache: rattler locks the first writable directory of a cache exclusively for as long as a
transaction lasts, hanging downloads included, so every transaction is given an *incoming* directory of its own to write
to, and reads `packages/` besides. What has been extracted is sealed and moved to `packages/`, where it never changes.
That two builds do not fetch the same package is up to `claims`.

Layout below the root::

    packages/   extracted and sealed packages in rattler's form; an entry is named after package and URL
    incoming/   a directory for each running transaction, locked while it runs
    claims/     a locked file for each package that somebody fetches
    sealed/     <sha256 of the package's URL>.json
    pyc/        compiled modules of noarch packages (see `pyc`)
    uv/         uv's cache
    repodata/   rattler's, of channels; a directory deeper what was read with credentials
    trash/      dropped packages, to be deleted later
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from rattler.package_cache import PackageCache as RattlerCache
from rattler.package_cache import PackageCacheLayer

from conda_store.builder.claims import Claims
from conda_store.builder.occupied import OccupiedDirectory, set_aside_abandoned
from conda_store.builder.removal import set_aside
from conda_store.builder.seals import Seal, is_linked, make_seal, matches
from conda_store.domain.lock import CondaPackage

_LOCK = ".cache.lock"  # rattler's, of the directory that it writes to
_USE_INTERVAL = 3600.0  # seconds between two notes that a package is used


class Incoming(OccupiedDirectory):
    """Where one transaction extracts packages to; what was not taken into the cache is set aside."""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            (self.path / _LOCK).unlink()
        super().close()


class PackageCache:
    """Safe to use from several processes and threads at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.packages = root / "packages"
        self.sealed = root / "sealed"
        self.pyc = root / "pyc"
        self.uv = root / "uv"
        self.repodata = root / "repodata"
        self.trash = root / "trash"
        self.incoming = root / "incoming"
        for directory in (self.packages, self.sealed, self.pyc, self.incoming):
            directory.mkdir(parents=True, exist_ok=True)
        self._seals: dict[str, Seal] = {}
        self._noted: dict[str, float] = {}

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
            status = None
        if status is None or status.st_ino != seal.inode or _hashes_differ(package, seal):
            # another process may have put another in its place, and sealed it; else it will be sealed anew
            was_remembered = self._seals.pop(key, None) is not None
            return self.seal_of(package) if was_remembered and self._stored(key) != seal else None
        if status.st_mtime_ns == seal.changed:
            self._note_use(key)
            return seal
        if not matches(directory, seal):
            self.drop(package)
            return None
        return self._keep(key, replace(seal, changed=status.st_mtime_ns))

    def seal(self, package: CondaPackage, directory: Path | None = None) -> Seal:
        """Take the write permissions of the extracted package's files and record it; `directory` where it is known.

        Raises:
            DamagedPackage: see `make_seal`.
        """
        return self.record(package, make_seal(package.file_name, directory or self.directory(package), package.sha256))

    def record(self, package: CondaPackage, seal: Seal) -> Seal:
        return self._keep(_key(package), seal)

    def open_incoming(self) -> Incoming:
        return Incoming(self.incoming, self.trash)

    def rattler(self, incoming: Incoming) -> RattlerCache:
        """For one transaction: it reads what is in the cache, and writes to `incoming`."""
        # the origin counts, so that equally named packages of two channels are two entries
        layers = [PackageCacheLayer(incoming.path), PackageCacheLayer(self.packages)]
        return RattlerCache.from_layers(layers, cache_origin=True)

    def take_in(self, package: CondaPackage, extracted: Path, seal: Seal) -> Seal:
        """Move a package that was extracted to an incoming directory, and sealed, to where all builds find it."""
        present = self.seal_of(package)
        target = self.packages / extracted.name
        if present and present.directory == target.name and _is_sound(target, present):
            set_aside(extracted, self.trash)
            return present
        with contextlib.suppress(FileNotFoundError):
            extracted.with_name(f"{extracted.name}.lock").replace(target.with_name(f"{target.name}.lock"))
        try:
            extracted.rename(target)
        except OSError:  # what is there is damaged, or another file of the same name
            set_aside(target, self.trash)
            extracted.rename(target)
        return self._keep(_key(package), replace(seal, changed=target.stat().st_mtime_ns))

    def claims(self, patience: float) -> Claims:
        """For one installation: which packages it fetches and which it waits for (see `claims`)."""
        return Claims(self.root / "claims", patience)

    def drop(self, package: CondaPackage) -> None:
        """Take the package out of the cache; environments keep the files that they share with it.

        The seal is the last to go: without one a package counts as extracted just now, and would be sealed as it is.
        """
        with contextlib.suppress(OSError):
            set_aside(self.directory(package), self.trash)
        self._forget(_key(package))

    def tidy(self) -> int:
        """Set aside what killed processes left: incoming directories, temporary files. How many there were."""
        found = set_aside_abandoned(self.incoming, self.trash)
        found += self._set_aside_older(3600, *self.sealed.glob(".*"), *self.pyc.glob("*/.*"), *self.packages.glob(".*"))
        # of repodata that was being downloaded
        found += self._set_aside_older(3600, *self.repodata.glob(".tmp*"), *self.repodata.glob("*/.tmp*"))
        # where uv builds wheels, which may take long; those of a namespace's credentials lie one directory deeper
        building = [path for pattern in (".tmp*", "*/.tmp*", "*/*/.tmp*") for path in self.uv.glob(pattern)]
        return found + self._set_aside_older(86400, *building)

    def _set_aside_older(self, age: float, *paths: Path) -> int:
        found = 0
        for path in paths:
            with contextlib.suppress(OSError):
                if time.time() - path.lstat().st_mtime > age:
                    found += set_aside(path, self.trash) is not None
        return found

    def prune(self, age: float) -> int:
        """Set aside the packages that no build has asked for in `age` seconds, and that no environment shares files
        with: keeping those costs next to nothing. How many there were.
        """
        found = 0
        for path in self.sealed.glob("*.json"):
            seal = self._stored(path.stem)
            with contextlib.suppress(OSError):
                if seal is None or time.time() - path.stat().st_mtime < age:
                    continue
                directory = self.packages / seal.directory
                if is_linked(directory, seal) or time.time() - path.stat().st_mtime < age:
                    continue
                for compiled in self.pyc.glob(f"*/{glob.escape(seal.directory)}-*"):
                    set_aside(compiled, self.trash)
                found += set_aside(directory, self.trash) is not None
                self._forget(path.stem)  # at last: what is left of one who was killed here is found by it
        return found

    def _note_use(self, key: str) -> None:
        """The time of a seal's file is when a build last asked for the package, to the hour."""
        now = time.monotonic()
        if now - self._noted.get(key, -_USE_INTERVAL) >= _USE_INTERVAL:
            self._noted[key] = now
            with contextlib.suppress(OSError):
                os.utime(self.sealed / f"{key}.json")

    def check(self, *, repair: bool = True) -> Iterator[tuple[str, bool]]:
        """Compare every sealed package with its seal, one for each step: its directory's name, and if it is sound.

        With `repair` damaged ones are dropped, so that the next build fetches them again.
        """
        for path in sorted(self.sealed.glob("*.json")):
            self._seals.pop(path.stem, None)
            seal = self._stored(path.stem)
            if seal is None:
                continue
            directory = self.packages / seal.directory
            is_sound = matches(directory, seal)
            if not is_sound and repair:
                with contextlib.suppress(OSError):
                    if directory.stat().st_ino == seal.inode:
                        set_aside(directory, self.trash)
                self._forget(path.stem)  # at last: see `drop`
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


def _is_sound(directory: Path, seal: Seal) -> bool:
    """Also has what rattler wants to read before it links."""
    return (directory / "info" / "index.json").exists() and matches(directory, seal)


def _key(package: CondaPackage) -> str:
    return hashlib.sha256(package.url.encode()).hexdigest()


def _hashes_differ(package: CondaPackage, seal: Seal) -> bool:
    return bool(package.sha256 and seal.sha256 and package.sha256 != seal.sha256)


def _origin(url: str) -> str:
    """What rattler names an entry after: the URL, or the path of a local file."""
    return unquote(urlsplit(url).path) if url.startswith("file:") else url


def _write_json(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    temporary.write_text(json.dumps(value, separators=(",", ":")))
    temporary.replace(path)
