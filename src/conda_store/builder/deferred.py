"""A builder that is made when it is first asked for something: loading the engine costs memory and time, which
processes that never build or solve should not pay."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from conda_store.builder.ports import Access, Builder, Installed, InstallRequest, Reporter, SolveRequest
from conda_store.domain.credential import NO_CREDENTIALS, Credentials
from conda_store.domain.lock import Lock, PlatformLock
from conda_store.domain.package_policy import PackagePolicy
from conda_store.domain.specification import AnySpecification, Specification
from conda_store.errors import Problem, Refusal


class DeferredBuilder:
    """Implements `ports.Builder` by what `make` gives."""

    def __init__(self, make: Callable[[], Builder]) -> None:
        self._make = make
        self._made: Builder | None = None
        self._lock = threading.Lock()

    def _builder(self) -> Builder:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def prepare(self) -> None:
        self._builder().prepare()

    def problems(self, specification: Specification) -> tuple[Problem, ...]:
        return self._builder().problems(specification)

    def conda_name(self, match_spec: str) -> str:
        return self._builder().conda_name(match_spec)

    def pypi_name(self, requirement: str) -> str:
        return self._builder().pypi_name(requirement)

    def read(self, text: bytes, *, format: str | None, name: str | None) -> AnySpecification:
        return self._builder().read(text, format=format, name=name)

    async def channel_state(self, request: SolveRequest) -> str:
        return await self._builder().channel_state(request)

    async def solve(self, request: SolveRequest, reporter: Reporter) -> Lock:
        return await self._builder().solve(request, reporter)

    async def refusals(
        self, lock: Lock, policy: PackagePolicy, channel_alias: str, access: Access
    ) -> tuple[Refusal, ...]:
        return await self._builder().refusals(lock, policy, channel_alias, access)

    async def install(self, request: InstallRequest, reporter: Reporter) -> Installed:
        return await self._builder().install(request, reporter)

    async def extracted(
        self, lock: PlatformLock, scratch: Path, reporter: Reporter, credentials: Credentials = NO_CREDENTIALS
    ) -> Mapping[str, Path]:
        return await self._builder().extracted(lock, scratch, reporter, credentials)

    async def tidy(self) -> int:
        return await self._builder().tidy()

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()
