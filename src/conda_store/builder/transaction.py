"""Linking the lock's conda packages into a directory through rattler, with progress, log lines and a stall limit."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

import rattler
from rattler import Config, MatchSpec
from rattler.install import InstallerReporter
from rattler.networking import Client

import conda_store
from conda_store.builder.authentication import client_config
from conda_store.builder.claims import Claims
from conda_store.builder.conda_meta import extracted_directory, rename_in_records
from conda_store.builder.failures import install_failure
from conda_store.builder.forwarding import refused
from conda_store.builder.options import BuilderOptions
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.ports import Reporter
from conda_store.builder.records import install_records
from conda_store.builder.removal import set_aside
from conda_store.builder.seals import DamagedPackage, MissingFiles, Seal, make_seal
from conda_store.domain.build import REMAINING_TOLD, Phase, Progress
from conda_store.domain.channel import without_credentials
from conda_store.domain.lock import CondaPackage
from conda_store.errors import BuildFailed, PackageCorrupt, PackageNotFound, PackageUnavailable

_TICK = 0.1  # seconds between two looks at what rattler has done


@lru_cache(maxsize=32)
def package_client(options: BuilderOptions) -> Client:
    """The process's client for downloading packages: it tries 5xx, 429 and refused connections again, with backoff."""
    with client_config(options) as config:
        return Client.from_config(
            config,
            max_retries=options.download_retries,
            user_agent=f"conda-store/{conda_store.__version__}",
            timeout=int(options.package_timeout),
        )


class Transaction:
    """One try at linking `packages` into `target`, made for `prefix`.

    Those in `missing` are fetched, taken into the cache, and their claims released, each as soon as it is linked;
    `seals` gets them. `done` of `total` packages are linked already: what `progress` tells begins there.
    """

    def __init__(
        self,
        packages: Sequence[CondaPackage],
        missing: Sequence[CondaPackage],
        *,
        cache: PackageCache,
        claims: Claims,
        options: BuilderOptions,
        reporter: Reporter,
        done: int,
        total: int,
    ) -> None:
        self._packages = packages
        self._missing = {package.name.lower(): package for package in missing}
        self._cache = cache
        self._claims = claims
        self._options = options
        self._reporter = reporter
        self._incoming = cache.open_incoming()
        self._events = Events(missing, done=done, total=total, on_extracted=self._seal)
        self._sealed: dict[Path, Seal] = {}
        self._unsafe: dict[str, str] = {}
        self._logged = 0
        self._fetched: list[CondaPackage] = []
        self.seals: dict[str, Seal] = {}

    async def run(self, client: Client, target: Path, prefix: Path, requested: Sequence[MatchSpec]) -> None:
        """
        Raises:
            BuildFailed: a package cannot be had or linked; `target` is then in any state.
        """
        try:
            self._refuse_downloads_when_offline()
            await self._run(client, target, prefix, requested)
        finally:
            self._incoming.close()

    async def _run(self, client: Client, target: Path, prefix: Path, requested: Sequence[MatchSpec]) -> None:
        work = asyncio.ensure_future(
            rattler.install(
                install_records(self._packages),
                target,
                client=client,
                config=Config.from_toml(f"[concurrency]\ndownloads = {self._options.concurrent_downloads}"),
                package_cache=self._cache.rattler(self._incoming),
                alternative_target_prefix=prefix,
                execute_link_scripts=False,
                requested_specs=[spec._match_spec for spec in requested],
                reporter=cast(InstallerReporter, self._events),
                show_progress=False,
            )
        )
        try:
            is_last = False
            while not is_last:
                await asyncio.wait({work}, timeout=_TICK)
                is_last = work.done()  # what it told before is seen by this tick
                await self._tick(target, is_last=is_last)
            await self._result(work, target)
            self._refuse_unsafe()
            rest = [package for package in self._missing.values() if package.name not in self.seals]
            await asyncio.to_thread(self._take_in, rest, target)
        except BuildFailed:
            await asyncio.to_thread(self._keep_extracted)
            raise
        finally:
            work.cancel()
        rename_in_records(target, self._incoming.path, self._cache.packages, self._fetched)

    async def _result(self, work: asyncio.Future[None], target: Path) -> None:
        try:
            await work
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in Rust is no Exception
            self._refuse_unsafe()
            text = str(error)
            refusal = refused(text, self._options.addresses)
            raise refusal or install_failure(text, self._packages, cache=self._cache.root, prefix=target) from error

    def _seal(self, name: str) -> None:
        """Before rattler links what it has extracted: what cannot be sealed is taken away, and linking fails."""
        package = self._missing.get(name)
        if package is None:
            return
        places = (self._incoming.path, self._cache.packages)
        found = [path for place in places if (path := place / self._cache.directory(package).name).is_dir()]
        if not found:  # rattler names it otherwise
            pattern = f"{glob.escape(f'{package.name}-{package.version}-{package.build}')}*/"
            found = [path for place in places for path in place.glob(pattern)]
        if not found:
            self._unsafe[package.file_name] = "it is not where it was to be extracted"
        for path in found:
            try:
                self._sealed[path] = make_seal(package.file_name, path, package.sha256)
            except MissingFiles:
                pass  # rattler fails on it too, or it will be found when all is linked
            except Exception as error:  # whatever it is: what nobody has looked through is not linked
                self._unsafe[package.file_name] = error.reason if isinstance(error, DamagedPackage) else str(error)
                with contextlib.suppress(OSError):
                    set_aside(path, self._cache.trash)

    def _refuse_unsafe(self) -> None:
        """
        Raises:
            PackageCorrupt: what was fetched cannot be sealed.
        """
        if self._unsafe:
            name, why = next(iter(self._unsafe.items()))
            raise PackageCorrupt(
                f"package {name} is not installed: {why}",
                hint="What it names cannot be read, or is not its own. Tell whoever runs its channel.",
            )

    async def _tick(self, target: Path, *, is_last: bool) -> None:
        """Report what happened since the last tick, take in what was fetched, and see whether anything moves."""
        events = self._events
        while events.extracted:
            if package := self._missing.get(events.extracted.popleft()):
                self._logged += 1
                self._reporter.log(f"DOWNLOAD {package.file_name} | {self._logged} of {len(self._missing)}")
        self._reporter.progress(events.progress())
        self._claims.touch()
        linked = [events.linked.popleft() for _ in range(len(events.linked))]
        await asyncio.to_thread(
            self._take_in, [self._missing[name] for name in linked if name in self._missing], target
        )
        if not is_last and time.monotonic() - events.moved_at > self._options.stall_timeout:
            raise self._stalled()

    def _take_in(self, packages: Sequence[CondaPackage], target: Path) -> None:
        """Make what is linked available to all builds."""
        for package in packages:
            directory = self._incoming.path / self._cache.directory(package).name
            if not directory.exists():  # rattler names it otherwise, or it was in the cache without a seal
                directory = extracted_directory(target, package) or directory
            if seal := self._sealed.get(directory):
                if directory.parent == self._incoming.path:
                    self.seals[package.name] = self._cache.take_in(package, directory, seal)
                    self._fetched.append(package)
                else:
                    self.seals[package.name] = self._cache.record(package, seal)
            self._claims.release([package])

    def _keep_extracted(self) -> None:
        """Spare the next try what this one has fetched."""
        for name in list(self._events.populated):
            package = self._missing.get(name)
            if package is not None and package.name not in self.seals:
                directory = self._incoming.path / self._cache.directory(package).name
                if seal := self._sealed.get(directory):
                    with contextlib.suppress(OSError):
                        self._cache.take_in(package, directory, seal)

    def _stalled(self) -> PackageUnavailable:
        waiting = [self._missing[name] for name in self._events.fetching if name in self._missing]
        names = ", ".join(sorted(package.file_name for package in waiting)[:5]) or "the packages"
        cause = f"nothing arrived for {self._options.stall_timeout:g} seconds"
        channels = ", ".join(sorted({without_credentials(package.channel) for package in waiting})[:3])
        where = f" from {channels}" if channels else ""
        return PackageUnavailable(
            f"downloading {names}{where} stalled: {cause}",
            hint="The channel may be down or slow; the build is tried again.",
        )

    def _refuse_downloads_when_offline(self) -> None:
        if not self._options.is_offline:
            return
        for package in self._missing.values():
            if not package.url.startswith("file:") and not self._cache.directory(package).exists():
                raise PackageNotFound(
                    f"package {package.file_name} is not in the package cache, and the builder is offline",
                    hint="Build it once with access to its channel, or choose versions that are in the cache.",
                )


class Events:
    """What rattler tells (it skips methods that are not there), from its own threads: counters and queues, but for the
    sealing of what was extracted."""

    def __init__(
        self, missing: Sequence[CondaPackage], *, done: int, total: int, on_extracted: Callable[[str], None]
    ) -> None:
        self._on_extracted = on_extracted
        self._sizes = {package.name.lower(): package.size or 0 for package in missing}
        self._populating: list[str] = []
        self._linking: list[str] = []
        self._downloads: list[int] = []
        self._done = done
        self._total = total
        self._bytes_total = sum(self._sizes.values())
        self._linked: set[str] = set()
        self._bytes: dict[int, int] = {}
        self.populated: list[str] = []
        self.extracted: deque[str] = deque()
        self.linked: deque[str] = deque()
        self.fetching: set[str] = set()
        self.moved_at = time.monotonic()

    def progress(self) -> Progress:
        """Bytes count the packages that were not in the cache; what is extracted counts in full."""
        populated = self._done + len(self.populated)
        is_downloading = bool(self._sizes) and populated < self._total
        done = min(sum(list(self._bytes.values())), self._bytes_total)
        return Progress(
            phase=Phase.DOWNLOADING if is_downloading else Phase.LINKING,
            packages_done=populated if is_downloading else self._done + len(self._linked),
            packages_total=self._total,
            bytes_done=done if is_downloading else self._bytes_total,
            bytes_total=self._bytes_total,
            packages_linked=self._done + len(self._linked),
            remaining=self._remaining(set(self.populated) if is_downloading else self._linked.copy()),
        )

    def _remaining(self, done: set[str]) -> tuple[str, ...]:
        """The names of those that are not, what is being fetched before the others."""
        fetching = self.fetching.copy()
        names = sorted((name for name in self._sizes if name not in done), key=lambda name: name not in fetching)
        return tuple(names[:REMAINING_TOLD])

    def on_populate_cache_start(self, operation: int, package_name: str) -> int:
        self._populating.append(package_name)
        self.fetching.add(package_name)
        return len(self._populating) - 1

    def on_download_start(self, cache_entry: int) -> int:
        self._downloads.append(cache_entry)
        self.moved_at = time.monotonic()
        return len(self._downloads) - 1

    def on_download_progress(self, download_idx: int, progress: int, total: int | None) -> None:
        self._bytes[self._downloads[download_idx]] = progress
        self.moved_at = time.monotonic()

    def on_populate_cache_complete(self, cache_entry: int) -> None:
        name = self._populating[cache_entry]
        self._on_extracted(name)
        self.populated.append(name)
        self.fetching.discard(name)
        if name in self._sizes:
            self._bytes[cache_entry] = self._sizes[name]
            self.extracted.append(name)
        self.moved_at = time.monotonic()

    def on_link_start(self, operation: int, package_name: str) -> int:
        self._linking.append(package_name)
        return len(self._linking) - 1

    def on_link_complete(self, index: int) -> None:
        name = self._linking[index]
        self._linked.add(name)
        if name in self._sizes:
            self.linked.append(name)
        self.moved_at = time.monotonic()
