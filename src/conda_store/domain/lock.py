"""The lock: exactly which packages an environment consists of, for every platform it was solved for.

Everything that is served is a rendering of this. It holds no credentials: URLs are stored without them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from conda_store.domain.platform import Platform


@dataclass(frozen=True)
class CondaPackage:
    """A package record as the channel's repodata gave it (CEP 36). Sizes in bytes, timestamp in milliseconds."""

    name: str
    version: str
    build: str
    subdir: str
    url: str
    channel: str
    build_number: int = 0
    md5: str | None = None
    sha256: str | None = None
    size: int | None = None
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    license: str | None = None
    license_family: str | None = None
    noarch: str | None = None
    timestamp: int | None = None
    track_features: tuple[str, ...] = ()
    python_site_packages_path: str | None = None

    @property
    def file_name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class PyPIPackage:
    """A distribution from a Python package index; `hashes` are `algorithm:hex` of every file that is permitted."""

    name: str
    version: str
    url: str
    hashes: tuple[str, ...]
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlatformLock:
    platform: Platform
    conda: tuple[CondaPackage, ...] = ()
    pypi: tuple[PyPIPackage, ...] = ()

    def package(self, name: str) -> CondaPackage | None:
        return next((package for package in self.conda if package.name == name), None)


@dataclass(frozen=True)
class Lock:
    """`channels` are URLs in order of priority; `document` is the conda-lock document where one was handed in."""

    channels: tuple[str, ...]
    platforms: tuple[PlatformLock, ...]
    pip_options: tuple[str, ...] = ()
    document: Mapping[str, Any] | None = field(default=None, compare=False)

    def on(self, platform: Platform) -> PlatformLock | None:
        return next((lock for lock in self.platforms if lock.platform == platform), None)

    @property
    def urls(self) -> frozenset[str]:
        """Of all packages."""
        conda = frozenset(package.url for part in self.platforms for package in part.conda)
        return conda | {package.url for part in self.platforms for package in part.pypi}

    def dump(self) -> bytes:
        """The form in which it is stored; equal locks give equal bytes."""
        return json.dumps(asdict(self), sort_keys=False, separators=(",", ":")).encode()

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of `dump()`."""
        return hashlib.sha256(self.dump()).hexdigest()


def load_lock(data: bytes) -> Lock:
    """The lock that `Lock.dump` wrote."""
    raw = json.loads(data)
    return Lock(
        channels=tuple(raw["channels"]),
        platforms=tuple(
            PlatformLock(
                Platform(item["platform"]),
                tuple(CondaPackage(**_tuples(package)) for package in item["conda"]),
                tuple(PyPIPackage(**_tuples(package)) for package in item["pypi"]),
            )
            for item in raw["platforms"]
        ),
        pip_options=tuple(raw["pip_options"]),
        document=raw["document"],
    )


def _tuples(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
