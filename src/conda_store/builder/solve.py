"""A specification solved for its platforms: one lock."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rattler import GenericVirtualPackage, RepoDataRecord

from conda_store.builder.access import require_addresses
from conda_store.builder.channels import ChannelChecks, ChannelState
from conda_store.builder.explain import Failure, explanation, missing_names, smallest_conflict
from conda_store.builder.filtering import FilteredChannel, Judge, LeftOut, pypi_refusals
from conda_store.builder.gateway import Repodata, SolverSaysNo, SolverTimeout
from conda_store.builder.matchspecs import conda_name, pip_urls, with_channel_urls
from conda_store.builder.options import BuilderOptions
from conda_store.builder.pip_solve import solve_pip
from conda_store.builder.ports import Reporter, SolveRequest
from conda_store.builder.records import package_from_record
from conda_store.builder.together import together
from conda_store.builder.virtual_packages import virtual_packages
from conda_store.domain.channel import channel_url, without_credentials
from conda_store.domain.lock import CondaPackage, Lock, PlatformLock
from conda_store.domain.package_policy import PackagePolicy
from conda_store.domain.platform import Platform
from conda_store.domain.policy import refuse
from conda_store.domain.specification import parse_pip_option
from conda_store.errors import ChannelNotFound, Refusal, SolveTimedOut, Unsolvable


@dataclass(frozen=True)
class Solver:
    """Solves over one set of repodata."""

    repodata: Repodata
    checks: ChannelChecks
    uv_cache: Path
    options: BuilderOptions

    async def states(self, request: SolveRequest) -> tuple[ChannelState, ...]:
        """The states of the request's channels, in their order; what is older is forgotten.

        Raises:
            ChannelUnavailable: a channel is not to be had.
        """
        subdirs = (*sorted(platform.value for platform in request.platforms), "noarch")
        states = tuple(await together(self.checks.state(channel, subdirs) for channel in request_channels(request)))
        self.repodata.follow(states)
        return states

    async def solve(self, request: SolveRequest, reporter: Reporter) -> Lock:
        """
        Raises:
            Unsolvable: with an explanation.
            ChannelUnavailable: a channel is not to be had.
        """
        started = time.monotonic()
        await self.states(request)
        channels = request_channels(request)
        for channel in channels:
            reporter.log(f"channel {without_credentials(channel)}")
        parts = await together(self._conda_part(request, channels, platform) for platform in request.platforms)
        locks = [PlatformLock(platform, part) for platform, part in zip(request.platforms, parts, strict=True)]
        for lock in locks:
            reporter.log(f"solved for {lock.platform.value}: {len(lock.conda)} packages")
        reporter.log(f"conda part solved in {time.monotonic() - started:.3f} s")
        if request.specification.pip_requirements:
            await require_addresses(pip_urls(request.specification), self.options)
            locks = await solve_pip(
                request.specification, locks, self.uv_cache, self.options, reporter, request.policy.cooldown
            )
            refuse(pypi_refusals(Lock((), tuple(locks)), _judge(request), is_age_known=True))
        return Lock(
            channels=tuple(without_credentials(channel) for channel in channels),
            platforms=tuple(locks),
            pip_options=tuple(_without_credentials(option) for option in request.specification.pip_options),
        )

    async def _conda_part(
        self, request: SolveRequest, channels: Sequence[str], platform: Platform
    ) -> tuple[CondaPackage, ...]:
        lines = request.specification.dependencies
        if not lines:
            return ()
        given = virtual_packages(platform, request.specification.variables, self.options.virtual_packages)
        left_out = LeftOut()
        filtered = await self._filtered(request, channels, platform, left_out)
        try:
            records = await self.repodata.solve(
                channels,
                [with_channel_urls(line, request.channel_alias) for line in lines],
                platform,
                given,
                is_strict=request.is_strict_channel_priority,
                limit=request.timeout,
                filtered=filtered,
            )
        except SolverTimeout:
            raise SolveTimedOut(
                f"No solution for {platform.value} was found within {request.timeout:g} seconds",
                hint="Pin more of the packages to narrow the search, or raise conda_max_solve_time.",
            ) from None
        except SolverSaysNo as error:
            if not request.is_explained:
                raise Unsolvable(str(error)) from None
            said = await self._explained(request, channels, platform, given, str(error), filtered)
            raise _with_policies(said, left_out) from None
        return tuple(sorted((package_from_record(record) for record in records), key=lambda package: package.name))

    async def _filtered(
        self, request: SolveRequest, channels: Sequence[str], platform: Platform, left_out: LeftOut
    ) -> tuple[FilteredChannel, ...]:
        """The channels as the policies let them be seen; none where there are no policies."""
        if not request.policy.judges_conda:
            return ()
        judge = _judge(request)
        found: list[FilteredChannel] = []
        for url in channels:
            names = await self.repodata.names_by_subdir(url, platform)
            earlier = found if request.is_strict_channel_priority else ()
            found.append(FilteredChannel(self.repodata, url, names, judge, left_out, earlier))
        return tuple(found)

    async def refusals(self, lock: Lock, policy: PackagePolicy, alias: str) -> tuple[Refusal, ...]:
        """What a policy refuses of a lock that was handed in; licence and age are those that the channels tell."""
        judge = Judge(policy, alias)
        found: dict[Refusal, None] = {}
        if policy.judges_conda:
            packages = {package.url: package for part in lock.platforms for package in part.conda}
            for package in packages.values():
                record = await self._offered(package) if policy.needs_records else None
                if refusal := judge.locked(package, record):
                    found[refusal] = None
        return (*found, *pypi_refusals(lock, judge, is_age_known=False))

    async def _offered(self, package: CondaPackage) -> RepoDataRecord | None:
        """The channel's own record of a locked package; None where it has none, or is no channel."""
        try:
            state = await self.checks.state(package.channel, (package.subdir, "noarch"))
            self.repodata.follow([state])
            offered = await self.repodata.records(package.channel, package.subdir, package.name)
        except ChannelNotFound:
            return None
        return next((record for record in offered if record.file_name == package.file_name), None)

    async def _explained(
        self,
        request: SolveRequest,
        channels: Sequence[str],
        platform: Platform,
        given: Sequence[GenericVirtualPackage],
        text: str,
        filtered: Sequence[FilteredChannel],
    ) -> Unsolvable:
        lines = request.specification.dependencies
        shown = [without_credentials(channel) for channel in channels]
        available = {other: await self.repodata.names(channels, other) for other in request.platforms}
        if error := missing_names(map(conda_name, lines), available, shown):
            return error

        async def attempt(some: Sequence[str]) -> str | None:
            try:
                await self.repodata.solve(
                    channels,
                    [with_channel_urls(line, request.channel_alias) for line in some],
                    platform,
                    given,
                    is_strict=request.is_strict_channel_priority,
                    limit=min(5.0, request.timeout),
                    filtered=filtered,
                )
            except SolverSaysNo as error:
                return str(error)
            except SolverTimeout:
                return None
            return None

        core, said = await smallest_conflict(lines, attempt, text)
        by_name: dict[str, list[str]] = {}
        for line in lines:
            by_name.setdefault(conda_name(line), []).append(line)
        virtual = tuple(f"{package.name.normalized}={package.version}" for package in given)
        return explanation(Failure(platform, by_name, said, virtual), core)


def _judge(request: SolveRequest) -> Judge:
    return Judge(request.policy, request.channel_alias)


def _with_policies(error: Unsolvable, left_out: LeftOut) -> Unsolvable:
    """The error, with what policies have to do with it."""
    words = set(re.findall(r"[a-z0-9_][a-z0-9_.\-]*", error.message.lower()))
    notes = left_out.notes(sorted(words & set(left_out.refusals)))
    if not notes:
        return error
    return Unsolvable(error.message, hint="\n".join([*notes, *filter(None, [error.hint])]))


def request_channels(request: SolveRequest) -> tuple[str, ...]:
    """The URLs of the channels in order of priority, each once."""
    urls = (channel_url(name, request.channel_alias) for name in request.specification.channels)
    return tuple(dict.fromkeys(urls))


def _without_credentials(option: str) -> str:
    """A pip option; only the value of `--index-url` and its like is a URL."""
    _, value = parse_pip_option(option)
    return option.replace(value, without_credentials(value)) if "://" in value else option
