"""Locks of tiny packages, without a solve."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Coroutine
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tarfile import open as open_tar
from typing import Any

import pytest
import zstandard

from conda_store.builder.install import install
from conda_store.builder.options import BuilderOptions
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.ports import Installed, InstallRequest
from conda_store.domain.lock import CondaPackage, PlatformLock
from conda_store.domain.platform import Platform
from tests.recording import Recorder
from tests.waiting import PATIENCE
from tools.channel.tiny import write_package


class Site:
    """A channel directory, a package cache and a place for prefixes, below one temporary directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.channel = root / "channel"
        self.store = root / "store"
        self.cache = PackageCache(root / "cache")
        self.packages: list[CondaPackage] = []
        self.options = BuilderOptions(download_retries=1, stall_timeout=20.0)
        self.reporter = Recorder()

    def add(self, name: str, version: str = "1.0", **arguments: Any) -> CondaPackage:
        """Write a package (see `write_package`); it belongs to the lock from now on."""
        package = locked(self.channel, write_package(self.channel, name, version, **arguments))
        self.packages.append(package)
        return package

    def serve_from(self, url: str) -> None:
        """Take the packages from a server of the channel's directory."""
        self.packages = [
            replace(package, url=f"{url}/{package.subdir}/{package.file_name}", channel=url)
            for package in self.packages
        ]

    def request(self, name: str = "environment", **arguments: Any) -> InstallRequest:
        lock = arguments.pop("lock", None) or PlatformLock(Platform.LINUX_64, tuple(self.packages))
        return InstallRequest(lock=lock, staging=self.store / f".staging-{name}", prefix=self.store / name, **arguments)

    def install(self, name: str = "environment", **arguments: Any) -> Installed:
        request = self.request(name, **arguments)
        return run(install(request, self.reporter, cache=self.cache, options=self.options))

    def is_clean(self) -> bool:
        """Nothing but the trash is in the store."""
        return not self.store.exists() or {path.name for path in self.store.iterdir()} <= {".trash"}


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


def locked(channel: Path, path: Path) -> CondaPackage:
    """The package record of a `.conda` file, as a lock has it."""
    data = path.read_bytes()
    with zipfile.ZipFile(BytesIO(data)) as outer:
        name = next(entry for entry in outer.namelist() if entry.startswith("info-"))
        with open_tar(fileobj=BytesIO(zstandard.decompress(outer.read(name), 1 << 30))) as info:
            index = json.load(info.extractfile("info/index.json"))  # type: ignore[arg-type]
    return CondaPackage(
        name=index["name"],
        version=index["version"],
        build=index["build"],
        subdir=index["subdir"],
        url=path.as_uri(),
        channel=channel.as_uri(),
        build_number=index["build_number"],
        md5=hashlib.md5(data).hexdigest(),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        depends=tuple(index["depends"]),
        noarch=index.get("noarch"),
        timestamp=index["timestamp"],
        license=index.get("license"),
    )


def totals(prefix: Path) -> tuple[int, int]:
    """(files, bytes) below the prefix, links counted as themselves."""
    found = [Path(directory, name).lstat() for directory, _, names in os.walk(prefix) for name in names]
    return len(found), sum(status.st_size for status in found)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def run_async() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    return run


@pytest.fixture
def measure() -> Callable[[Path], tuple[int, int]]:
    return totals
