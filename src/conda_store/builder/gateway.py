"""One gateway to all repodata for the process, with its cache on disk.

Channels without ETags are read without shards, and what is cached of a channel is dropped when its state changed:
HTTP's rules would otherwise let rattler go on with an old copy under the new state's name.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from rattler import (
    Channel,
    ChannelPriority,
    Client,
    Gateway,
    GenericVirtualPackage,
    MatchSpec,
    RepoDataRecord,
    SourceConfig,
    Subdir,
    solve,
)
from rattler.networking.fetch_repo_data import CacheAction

import conda_store
from conda_store.builder.authentication import client_config
from conda_store.builder.channels import ABSENT, ChannelState
from conda_store.builder.failures import disk_full, is_disk_full, says_disk_full
from conda_store.builder.filtering import FilteredChannel
from conda_store.builder.forwarding import refused
from conda_store.builder.guard import described, is_from_rattler
from conda_store.builder.options import BuilderOptions
from conda_store.domain.channel import without_credentials
from conda_store.domain.platform import Platform
from conda_store.errors import BuildFailed, ChannelNotFound, ChannelUnavailable

Answer = TypeVar("Answer")


class SolverSaysNo(Exception):
    """The solver's own text; `explain` makes it readable."""


class SolverTimeout(Exception):
    """The solver gave up after the time it was given."""


class Repodata:
    """Names and solves over channels. `directory` holds the cache; several processes may share it."""

    def __init__(self, directory: Path, options: BuilderOptions) -> None:
        self._directory = directory
        self._options = options
        self._without_shards: frozenset[str] = frozenset()
        self._gateway: Gateway | None = None
        self._seen: dict[tuple[str, str], str] = {}

    def follow(self, states: Iterable[ChannelState]) -> None:
        """From here on what is read of these channels is as new as their states.

        Raises:
            DiskFull: there is no room to note them.
        """
        states = tuple(states)
        unsafe = frozenset(state.url for state in states if not state.has_safe_shards)
        if not unsafe <= self._without_shards:
            self._without_shards |= unsafe
            self._gateway = None
        if not self._options.is_offline:
            for state in states:
                self._forget_old(state)

    async def names(self, channels: Sequence[str], platform: Platform) -> set[str]:
        """Every package name that the channels have for a platform, noarch included."""
        question = self.gateway.names(channels, self._subdirs(channels, platform), channel_relations="disabled")
        found = await self._asked(question, channels)
        return {name.normalized for name in found}

    async def names_by_subdir(self, channel: str, platform: Platform) -> dict[str, list[str]]:
        """The package names that a channel has, by subdir, noarch included."""
        found = {}
        for subdir in self._subdirs([channel], platform):
            question = self.gateway.names([channel], [subdir], channel_relations="disabled")
            found[str(subdir)] = [name.normalized for name in await self._asked(question, [channel])]
        return found

    async def records(self, channel: str, subdir: str, name: str) -> list[RepoDataRecord]:
        """All that a channel's subdir has of a package name; empty where there is none."""
        question = self.gateway.query(
            [channel], [Subdir(subdir)], [MatchSpec(name)], recursive=False, channel_relations="disabled"
        )
        found = await self._asked(question, [channel])
        return [record for records in found for record in records]

    async def solve(
        self,
        channels: Sequence[str],
        specs: Sequence[MatchSpec],
        platform: Platform,
        virtual_packages: Sequence[GenericVirtualPackage],
        *,
        is_strict: bool,
        limit: float,
        filtered: Sequence[FilteredChannel] = (),
    ) -> list[RepoDataRecord]:
        """The records of a solution. `limit` is in seconds, for solving; reading repodata has its own.

        `filtered` are the channels under policies, if there are any.

        Raises:
            SolverSaysNo: there is no solution.
            SolverTimeout: none was found within the limit.
            ChannelUnavailable: the repodata cannot be read.
        """
        question = solve(
            filtered or channels,
            specs,
            gateway=self.gateway,
            platforms=self._subdirs(channels, platform),
            virtual_packages=virtual_packages,
            channel_priority=ChannelPriority.Strict if is_strict else ChannelPriority.Disabled,
            timeout=timedelta(seconds=limit),
            channel_relations="disabled",
        )
        return await self._asked(question, channels, limit)

    def close(self) -> None:
        """Let go of what is kept in memory."""
        self._gateway = None
        self._seen.clear()

    @property
    def gateway(self) -> Gateway:
        if self._gateway is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            action: CacheAction = "force-cache-only" if self._options.is_offline else "cache-or-fetch"
            self._gateway = Gateway(
                cache_dir=self._directory,
                default_config=SourceConfig(cache_action=action),
                per_channel_config={
                    url: SourceConfig(sharded_enabled=False, cache_action=action) for url in self._without_shards
                },
                client=_client(self._options),
            )
        return self._gateway

    async def _asked(self, question: Awaitable[Answer], channels: Sequence[str], limit: float = 0.0) -> Answer:
        """The answer; `limit` are the seconds for it besides those for reading the channels' repodata.

        Raises:
            ChannelUnavailable: the repodata cannot be read, or does not arrive in time.
            DiskFull: there is no room for it.
        """
        try:
            async with asyncio.timeout(limit + self._options.download_timeout):
                return await question
        except TimeoutError as error:
            names = ", ".join(map(without_credentials, channels))
            raise ChannelUnavailable(
                f"The repodata of {names} did not arrive within {self._options.download_timeout:g} seconds",
                hint="The channel's server is slow or stalls; the build is tried again.",
            ) from error
        except BaseException as error:
            if not is_from_rattler(error):
                raise
            if type(error).__name__ == "GatewayError":
                self._forget_everything()  # what was cached may be the cause: a download cut in half
            refusal = refused(str(error), self._options.addresses)
            raise refusal or _translated(error, self._directory) from error

    def _forget_old(self, state: ChannelState) -> None:
        for subdir, digest in state.subdirs.items():
            key = (state.url, subdir)
            if self._seen.get(key) == digest:
                continue
            record = self._record_of(*key)
            is_new_here = key in self._seen
            if not _holds(record, digest):
                self.gateway.clear_repodata_cache(Channel(state.url), [Subdir(subdir)], clear_disk=True)
                _write(record, digest)
            elif is_new_here:
                self.gateway.clear_repodata_cache(Channel(state.url), [Subdir(subdir)])
            self._seen[key] = digest

    def _forget_everything(self) -> None:
        """The next state is taken for a new one."""
        for key in self._seen:
            self._record_of(*key).unlink(missing_ok=True)
        self._seen.clear()

    def _subdirs(self, channels: Sequence[str], platform: Platform) -> list[Subdir]:
        """Online rattler asks for the platform's subdir and takes no for an answer; offline it wants it cached."""
        names = [platform.value, "noarch"]
        if self._options.is_offline and all(
            _holds(self._record_of(without_credentials(channel), platform.value), ABSENT) for channel in channels
        ):
            names.remove(platform.value)
        return [Subdir(name) for name in names]

    def _record_of(self, url: str, subdir: str) -> Path:
        """The file with the state that the cache on disk belongs to."""
        name = hashlib.sha256(f"{url}/{subdir}".encode()).hexdigest()[:32]
        return self._directory / "states" / name


def _client(options: BuilderOptions) -> Client:
    limit = max(1, int(options.download_timeout))
    user_agent = f"conda-store/{conda_store.__version__}"
    with client_config(options) as config:
        return Client.from_config(config, options.download_retries, user_agent=user_agent, timeout=limit)


def _holds(record: Path, digest: str) -> bool:
    try:
        return record.read_text() == digest
    except OSError:
        return False


def _write(record: Path, digest: str) -> None:
    staging = record.with_name(f"{record.name}.{os.getpid()}")
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        staging.write_text(digest)
        staging.replace(record)
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(record.parent) from error
        raise


def _translated(error: BaseException, cache: Path) -> Exception:
    text = described(error)
    kind = type(error).__name__
    if says_disk_full(text.lower()):
        return disk_full(cache)
    if kind == "SolverError":
        return SolverTimeout() if "has been cancelled" in text else SolverSaysNo(str(error))
    if kind != "GatewayError":
        return BuildFailed(f"The solver failed: {text}", hint="Please report this with the specification.")
    cause = text.replace("\nCaused by: ", ": ").splitlines()[0]
    if "could not find subdir" in text or "(404 " in text:
        return ChannelNotFound(
            f"A channel lacks repodata: {cause}", hint="Check the channel's name in the specification."
        )
    return ChannelUnavailable(
        f"The repodata cannot be read: {cause}", hint="The channel may be down, or change at this moment."
    )
