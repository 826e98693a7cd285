"""Linking a lock's packages, of which other builds may be fetching some at the same moment.

What is in the cache, and what this build fetches itself, is linked in one transaction. Packages that another build
fetches are waited for afterwards, without holding any claim, and linked in a further one.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rattler import MatchSpec
from rattler.networking import Client

from conda_store.builder.options import BuilderOptions
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.ports import Reporter
from conda_store.builder.seals import Seal, leads_out
from conda_store.builder.transaction import Transaction
from conda_store.domain.lock import CondaPackage

_LOOK_INTERVAL = 0.05  # seconds between two looks whether another build has got a package
_GRACE = 30.0  # seconds that a build without progress is given to end before others do its work


@dataclass(frozen=True)
class _Shares:
    """Who sees to which packages: nobody has to, this build, another."""

    cached: tuple[CondaPackage, ...]
    missing: tuple[CondaPackage, ...]
    awaited: tuple[CondaPackage, ...]


class Linking:
    """One try at linking `packages`; `seals` gets those that are known."""

    def __init__(
        self,
        packages: Sequence[CondaPackage],
        *,
        cache: PackageCache,
        options: BuilderOptions,
        client: Client,
        reporter: Reporter,
    ) -> None:
        self._packages = packages
        self._cache = cache
        self._options = options
        self._client = client
        self._reporter = reporter
        self._claims = cache.claims(options.stall_timeout + _GRACE)
        self._linked = 0
        self.seals: dict[str, Seal] = {}

    async def run(self, target: Path, prefix: Path, requested: Sequence[MatchSpec]) -> None:
        """
        Raises:
            BuildFailed: a package cannot be had or linked; `target` is then in any state.
        """
        try:
            shares = self._share()
            self._log_plan(shares)
            while True:
                if _must_wait(shares):
                    self._claims.release()
                    await self._wait(shares.awaited)
                else:
                    if self._linked and await asyncio.to_thread(leads_out, target):
                        # rattler looks out for links of the same transaction only
                        await asyncio.to_thread(shutil.rmtree, target)
                        self._linked = 0
                    await self._link(shares, target, prefix, requested)
                    if not shares.awaited:
                        return
                shares = self._share()
        finally:
            self._claims.release()

    def _share(self) -> _Shares:
        cached, missing, awaited = [], [], []
        for package in self._packages:
            if self._is_sealed(package):
                cached.append(package)
            elif not self._claims.take(package):
                awaited.append(package)
            elif self._is_sealed(package):  # between the two looks
                self._claims.release([package])
                cached.append(package)
            else:
                missing.append(package)
        return _Shares(tuple(cached), tuple(missing), tuple(awaited))

    def _is_sealed(self, package: CondaPackage) -> bool:
        seal = self._cache.seal_of(package)
        if seal is not None:
            self.seals[package.name] = seal
        return seal is not None

    async def _link(self, shares: _Shares, target: Path, prefix: Path, requested: Sequence[MatchSpec]) -> None:
        packages = [*shares.cached, *shares.missing]
        transaction = Transaction(
            packages,
            shares.missing,
            cache=self._cache,
            claims=self._claims,
            options=self._options,
            reporter=self._reporter,
            done=self._linked,
            total=len(self._packages),
        )
        await transaction.run(self._client, target, prefix, requested)
        self.seals.update(transaction.seals)
        self._linked = len(packages)

    async def _wait(self, packages: Sequence[CondaPackage]) -> None:
        """Until the packages are in the cache, or one of them is left to this build."""
        names = ", ".join(package.file_name for package in packages[:5]) + (", ..." if len(packages) > 5 else "")
        self._reporter.log(f"Waiting for {len(packages)} packages that other builds download: {names}")
        for package in sorted(packages, key=lambda package: package.name != "python"):
            while not self._is_sealed(package):
                if self._claims.take(package):
                    return
                await asyncio.sleep(_LOOK_INTERVAL)

    def _log_plan(self, shares: _Shares) -> None:
        size = sum(package.size or 0 for package in shares.missing)
        awaited = f", {len(shares.awaited)} being downloaded by other builds" if shares.awaited else ""
        self._reporter.log(
            f"Executing transaction: {len(shares.cached)} packages from the cache, "
            f"{len(shares.missing)} to download ({size / 1e6:.1f} MB){awaited}"
        )


def _must_wait(shares: _Shares) -> bool:
    """There is nothing to fetch meanwhile, or nothing can be linked: noarch packages need to know their Python."""
    return bool(shares.awaited) and (not shares.missing or any(package.name == "python" for package in shares.awaited))
