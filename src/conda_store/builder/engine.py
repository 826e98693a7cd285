"""The builder that does it for real: rattler for the conda part, uv for the pip part."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from conda_store.builder import formats, matchspecs
from conda_store.builder.access import require_access, require_addresses
from conda_store.builder.channels import ChannelChecks
from conda_store.builder.extraction import extracted
from conda_store.builder.gateway import Repodata
from conda_store.builder.install import install
from conda_store.builder.options import BuilderOptions
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.ports import Access, Installed, InstallRequest, Reporter, SolveRequest
from conda_store.builder.removal import empty_trash
from conda_store.builder.solve import Solver, request_channels
from conda_store.builder.virtual_packages import virtual_packages
from conda_store.domain.build import Phase, Progress
from conda_store.domain.channel import without_credentials
from conda_store.domain.credential import NO_CREDENTIALS, Credentials
from conda_store.domain.lock import Lock, PlatformLock
from conda_store.domain.package_policy import PackagePolicy
from conda_store.domain.specification import AnySpecification, Specification
from conda_store.errors import Problem, Refusal

_MOST_SOLVERS = 32
_CHECK_PAUSE = 0.005  # seconds between two packages


class RattlerBuilder:
    """Implements `ports.Builder`. `cache_directory` is shared by all environments and may be by several processes."""

    def __init__(self, cache_directory: Path, *, options: BuilderOptions | None = None) -> None:
        self._options = options or BuilderOptions()
        self._cache = PackageCache(cache_directory)
        self._solvers: OrderedDict[str, Solver] = OrderedDict()

    def _solver(self, credentials: Credentials) -> Solver:
        """A solver for each set of credentials: repodata that one may read is not for another."""
        known = self._solvers.pop(credentials.identity, None)
        if known is None:
            options = replace(self._options, credentials=credentials)
            directory = self._cache.repodata / credentials.identity if credentials else self._cache.repodata
            # installations of others are as private as their solves, and so are what uv has asked its indexes
            uv = self._cache.uv / credentials.identity if credentials else self._cache.uv
            known = Solver(Repodata(directory, options), ChannelChecks(options), uv, options)
        self._solvers[credentials.identity] = known
        while len(self._solvers) > _MOST_SOLVERS:
            _, oldest = self._solvers.popitem(last=False)
            oldest.repodata.close()
        return known

    def prepare(self) -> None:
        matchspecs.parse_match_spec("python >=3")

    def problems(self, specification: Specification) -> tuple[Problem, ...]:
        return matchspecs.specification_problems(specification)

    def conda_name(self, match_spec: str) -> str:
        return matchspecs.conda_name(match_spec)

    def pypi_name(self, requirement: str) -> str:
        return matchspecs.pypi_name(requirement)

    def read(self, text: bytes, *, format: str | None, name: str | None) -> AnySpecification:
        return formats.read(
            text,
            format=format,
            name=name,
            problems=matchspecs.specification_problems,
        )

    async def channel_state(self, request: SolveRequest) -> str:
        """Besides the channels it counts what the platforms are taken to provide: a solve depends on it too."""
        states = await self._solver(request.credentials).states(request)
        variables = request.specification.variables
        given = [
            str(package)
            for platform in request.platforms
            for package in virtual_packages(platform, variables, self._options.virtual_packages)
        ]
        urls = [without_credentials(url) for url in request_channels(request)]
        text = json.dumps([urls, [state.digest for state in states], given])
        return hashlib.sha256(text.encode()).hexdigest()

    async def solve(self, request: SolveRequest, reporter: Reporter) -> Lock:
        reporter.progress(Progress(Phase.SOLVING))
        return await self._solver(request.credentials).solve(request, reporter)

    async def refusals(
        self, lock: Lock, policy: PackagePolicy, channel_alias: str, access: Access
    ) -> tuple[Refusal, ...]:
        solver = self._solver(access.credentials)
        await require_addresses(lock.urls, solver.options)
        await require_access(lock, access.guarded_hosts, solver.options)
        return await solver.refusals(lock, policy, channel_alias)

    async def install(self, request: InstallRequest, reporter: Reporter) -> Installed:
        options = self._solver(request.credentials).options
        return await install(request, reporter, cache=self._cache, options=options)

    async def extracted(
        self, lock: PlatformLock, scratch: Path, reporter: Reporter, credentials: Credentials = NO_CREDENTIALS
    ) -> Mapping[str, Path]:
        options = self._solver(credentials).options
        return await extracted(lock, scratch, reporter, cache=self._cache, options=options)

    async def tidy(self) -> int:
        await asyncio.to_thread(self._cache.tidy)
        with ThreadPoolExecutor(1, "check", initializer=_let_others_go_first) as thread:
            await asyncio.get_running_loop().run_in_executor(thread, self._check)
        if (age := self._options.unused_packages_kept) is not None:
            await asyncio.to_thread(self._cache.prune, age)
        return await empty_trash(self._cache.trash)

    def _check(self) -> None:
        """Drop the packages that somebody has changed."""
        for _ in self._cache.check():
            time.sleep(_CHECK_PAUSE)

    async def close(self) -> None:
        while self._solvers:
            self._solvers.popitem()[1].repodata.close()


def _let_others_go_first() -> None:
    """Nobody waits for what this thread does (Linux; elsewhere the pauses have to do)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
