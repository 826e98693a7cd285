"""The extracted packages of a lock, for those who read them instead of installing them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from conda_store.builder.install import install
from conda_store.builder.options import BuilderOptions
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.ports import InstallRequest, Reporter
from conda_store.domain.lock import PlatformLock
from conda_store.errors import PackageUnavailable


async def extracted(
    lock: PlatformLock, scratch: Path, reporter: Reporter, *, cache: PackageCache, options: BuilderOptions
) -> Mapping[str, Path]:
    """The packages' directories by package name; what is not in the cache is fetched, by way of `scratch`.

    Raises:
        BuildFailed: a package cannot be had.
    """
    found = await asyncio.to_thread(_cached, lock, cache)
    if len(found) < len(lock.conda):
        # rattler has no way to fetch without linking
        request = InstallRequest(
            lock=replace(lock, pypi=()),
            staging=scratch / "staging",
            prefix=scratch / "prefix",
            trash=scratch / "trash",
        )
        await install(request, reporter, cache=cache, options=options)
        found = await asyncio.to_thread(_cached, lock, cache)
    for package in lock.conda:
        if package.name not in found:
            raise PackageUnavailable(f"package {package.file_name} is not in the package cache any more")
    return found


def _cached(lock: PlatformLock, cache: PackageCache) -> dict[str, Path]:
    return {package.name: cache.directory(package) for package in lock.conda if cache.seal_of(package) is not None}
