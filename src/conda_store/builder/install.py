"""Laying out an environment: from a lock to a complete prefix, or to nothing.

Order of events: link into the staging directory (paths written into files are already the prefix's), compiled
modules, pip part, `conda-meta`, modes and owners, then one rename to the prefix. Post-link scripts, where policy lets
any run, come last and in the prefix, since they write its path wherever they like; should one fail, the prefix is
renamed away again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rattler import MatchSpec
from rattler.networking import Client

from conda_store.builder.activation import write_variables
from conda_store.builder.conda_meta import clobbered, extracted_directory, finish_conda_meta
from conda_store.builder.failures import DamagedCache, disk_full, is_disk_full
from conda_store.builder.link_scripts import choose_scripts, run_scripts
from conda_store.builder.linking import Linking
from conda_store.builder.options import BuilderOptions
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.permissions import Ownership, apply_ownership, apply_root_ownership, creation_mode
from conda_store.builder.pip_install import install_pip_part
from conda_store.builder.ports import Installed, InstallRequest, Reporter
from conda_store.builder.pyc import EnvironmentPython, compile_and_link, environment_python
from conda_store.builder.removal import TRASH_NAME, set_aside
from conda_store.builder.seals import DamagedPackage, Seal, leads_out
from conda_store.builder.transaction import package_client
from conda_store.domain.build import MAX_PREFIX_LENGTH, Phase, Progress
from conda_store.domain.lock import CondaPackage
from conda_store.domain.noarch import path_in_prefix
from conda_store.errors import BuildFailed, PackageCorrupt, PrefixTooLong

_PAUSE = 0.05  # seconds between two looks for what rattler creates after it was stopped
_QUIET_LOOKS = 6


async def install(
    request: InstallRequest,
    reporter: Reporter,
    *,
    cache: PackageCache,
    options: BuilderOptions,
    client: Client | None = None,
) -> Installed:
    """Make `request.prefix` as the lock says. When it returns the prefix is complete; when it raises there is none.

    What was at `staging` or `prefix` before, from an attempt that was killed, is set aside first. `client` downloads
    the packages; None takes one made from the options.

    Raises:
        BuildFailed: PrefixTooLong, PackageUnavailable, PackageCorrupt, DiskFull, PipFailed or LinkScriptFailed,
            or itself where the lock cannot be installed.
    """
    if len(str(request.prefix)) > MAX_PREFIX_LENGTH:
        raise PrefixTooLong(f"build_path too long: must be <= {MAX_PREFIX_LENGTH} characters")
    installation = _Installation(request, reporter, cache, options, client or package_client(options))
    try:
        return await installation.run()
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(Path(error.filename or request.staging)) from error
        raise BuildFailed(f"installing failed: {error}") from error
    finally:
        if not installation.is_complete:
            await installation.clear()


@dataclass
class _Installation:
    request: InstallRequest
    reporter: Reporter
    cache: PackageCache
    options: BuilderOptions
    client: Client
    seals: dict[str, Seal] = field(default_factory=dict)
    is_linking: bool = False
    is_in_place: bool = False
    is_complete: bool = False

    @property
    def trash(self) -> Path:
        return self.request.trash or self.request.staging.parent / TRASH_NAME

    @property
    def packages(self) -> tuple[CondaPackage, ...]:
        return self.request.lock.conda

    async def run(self) -> Installed:
        request, reporter = self.request, self.reporter
        for path in (request.staging, request.prefix):
            set_aside(path, self.trash)
            path.parent.mkdir(parents=True, exist_ok=True)
        ownership = Ownership(request.permissions, request.uid, request.gid)
        with creation_mode(request.permissions):
            await self.link()
            scripts, skipped = choose_scripts(self.packages, self.seals, request.link_script_packages)
            for package in skipped:
                reporter.log(f"The post-link script of {package.name} was not run: policy does not name it")
            installed, own_files = await self.complete()
            # where scripts will run nobody knows what they write, so every file is looked at afterwards
            if not scripts:
                apply_ownership(request.staging, ownership, own_files)
        request.staging.rename(request.prefix)
        self.is_in_place = True
        if scripts:
            await run_scripts(request.prefix, scripts, reporter)
            await asyncio.to_thread(apply_ownership, request.prefix, ownership, None)
        apply_root_ownership(request.prefix, ownership)
        self.is_complete = True
        reporter.progress(self.finished())
        return installed

    async def link(self) -> None:
        """Download, extract and link the conda packages; one more try where a package or the cache was damaged."""
        self.reporter.log(f"Preparing transaction: {len(self.packages)} packages")
        requested = _match_specs(self.request.requested)
        for is_last in (False, True):
            linking = Linking(
                self.packages, cache=self.cache, options=self.options, client=self.client, reporter=self.reporter
            )
            self.is_linking = True
            try:
                await linking.run(self.request.staging, self.request.prefix, requested)
                self.is_linking = False
                self.seals = linking.seals
                await asyncio.to_thread(self.seal_rest)
                break
            except (PackageCorrupt, DamagedCache) as error:
                if is_last:
                    raise PackageCorrupt(error.message, hint=error.hint) from error
                self.reporter.log(f"{error.message}; trying once more")
                self.drop_damaged(error)
                await self.clear()
        for collision in clobbered(self.request.staging):
            winner = f"the one of {collision.winner}" if collision.winner else "another package's"
            self.reporter.log(f"{collision.path} is in several packages: {winner} is used, not {collision.loser}'s")

    def seal_rest(self) -> None:
        """Seal what was extracted while nobody looked.

        Raises:
            DamagedCache: a package was linked whose extracted files are not all there.
        """
        for package in self.packages:
            if package.name not in self.seals:
                try:
                    directory = self.cache.directory(package)
                    if not directory.exists():
                        directory = extracted_directory(self.request.staging, package) or directory
                    self.seals[package.name] = self.cache.seal(package, directory)
                except DamagedPackage as error:
                    raise DamagedCache(str(error), package) from error

    def drop_damaged(self, error: PackageCorrupt | DamagedCache) -> None:
        """Drop the package that is named, or else whatever does not match its seal."""
        if isinstance(error, DamagedCache):
            if error.package is not None:
                self.cache.drop(error.package)
            else:
                for _ in self.cache.check():
                    pass

    async def complete(self) -> tuple[Installed, list[str]]:
        """All that rattler does not do. Returns the totals, and the environment's own files (relative paths)."""
        request = self.request
        python = environment_python(request.lock)
        seals = [self.seals[package.name] for package in self.packages]
        own_files = [path for seal in seals for path in _own_paths(seal, python)]
        shared = sum(seal.size for seal in seals)
        files = sum(seal.files + len(seal.commands) for seal in seals)
        size = shared + _size_together(request.staging, own_files)
        await asyncio.to_thread(_take_links_away, request.staging / "conda-meta")
        if await self.may_compile() and python is not None and python.is_cpython:
            compiled = await compile_and_link(seals, self.cache, request.staging, python, self.reporter)
            files, size, shared = files + compiled.files, size + compiled.size, shared + compiled.size
        if request.lock.pypi:
            self.reporter.progress(self.finished(Phase.PIP))
            pip = await install_pip_part(request, python, self.cache, self.options, self.reporter)
            files, size = files + pip.files, size + pip.size
            own_files += pip.own
        self.reporter.progress(self.finished())
        write_variables(request.staging, request.variables)
        meta = finish_conda_meta(request.staging, self.packages, request.requested, request.moment)
        own_files += (f"conda-meta/{path.name}" for path in (request.staging / "conda-meta").iterdir())
        files += len(self.packages) + 1 + bool(request.variables)
        is_linked = request.staging.stat().st_dev == self.cache.root.stat().st_dev
        return Installed(size + meta, files, shared if is_linked else None), own_files

    async def may_compile(self) -> bool:
        """Whether modules are to be compiled, and nothing is written outside by that, or by pip.

        Raises:
            BuildFailed: pip could write outside.
        """
        request = self.request
        if not (request.compiles_pyc or request.lock.pypi):
            return False
        has_way_out = await asyncio.to_thread(leads_out, request.staging)
        if has_way_out and request.lock.pypi:
            raise BuildFailed(
                "the pip part is not installed: a link of a conda package leads out of the environment",
                hint="What pip installs could be written there. Leave the package out, or the pip part.",
            )
        return request.compiles_pyc and not has_way_out

    def finished(self, phase: Phase = Phase.FINISHING) -> Progress:
        count = len(self.packages)
        return Progress(phase, packages_done=count, packages_total=count, packages_linked=count)

    async def clear(self) -> None:
        """Rename away whatever is at staging, and the prefix where it is ours: else it is another attempt's, which was
        begun since this one seemed to be lost.

        A transaction that was cut short goes on for a moment in rattler's threads and may create files there again:
        then this looks until nothing has appeared for a while.
        """
        quiet = 0
        for _ in range(5 * _QUIET_LOOKS):
            with contextlib.suppress(OSError):
                ours = (self.request.staging, self.request.prefix) if self.is_in_place else (self.request.staging,)
                found = [set_aside(path, self.trash) for path in ours]
                quiet = 0 if any(found) else quiet + 1
            if not self.is_linking or quiet >= _QUIET_LOOKS:
                return
            await asyncio.sleep(_PAUSE)


def _match_specs(requested: Sequence[str]) -> list[MatchSpec]:
    """Those of the requested texts that are match specs."""
    specs = []
    for text in requested:
        with contextlib.suppress(Exception):
            specs.append(MatchSpec(text))
    return specs


def _take_links_away(directory: Path) -> None:
    """What is written there next would be written to wherever a package's link leads."""
    for path in directory.iterdir():
        if path.is_symlink():
            path.unlink()


def _size_together(directory: Path, paths: Sequence[str]) -> int:
    """The bytes of the files; those that are not there, since another package's took their place, count nothing."""
    size = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            size += os.lstat(f"{directory}/{path}").st_size
    return size


def _own_paths(seal: Seal, python: EnvironmentPython | None) -> list[str]:
    """Where the files of a package that an environment gets copies of are in it."""
    if not seal.is_noarch_python or python is None:
        return list(seal.own)
    paths = [path_in_prefix(path, python.site_packages) for path in seal.own]
    return [*paths, *(f"bin/{command}" for command in seal.commands)]
