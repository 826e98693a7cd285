"""What the rest of conda-store asks of a builder, in the domain's types.

`engine.RattlerBuilder` does it for real; `fake.FakeBuilder` stands in where no package is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from conda_store.builder.package_index.model import IndexedChannel, PackagePage, PackageQuery
from conda_store.domain.build import Progress
from conda_store.domain.credential import NO_CREDENTIALS, Credentials
from conda_store.domain.lock import Lock, PlatformLock
from conda_store.domain.package_policy import PackagePolicy
from conda_store.domain.platform import Platform
from conda_store.domain.specification import AnySpecification, Specification
from conda_store.errors import Problem, Refusal


class Reporter(Protocol):
    """Where a build tells what it does, while it does it."""

    def log(self, text: str) -> None:
        """One or more lines for the build's log, without credentials."""

    def progress(self, progress: Progress) -> None:
        """How far the build is; may be called thousands of times, the receiver thins out."""


@dataclass(frozen=True)
class SolveRequest:
    """All that a solve depends on besides the channels' content. `timeout` in seconds.

    Without `is_explained` no time is spent on finding out why there is no solution.
    """

    specification: Specification
    platforms: tuple[Platform, ...]
    channel_alias: str
    is_strict_channel_priority: bool = True
    timeout: float = 300.0
    policy: PackagePolicy = field(default_factory=PackagePolicy)
    is_explained: bool = True
    credentials: Credentials = NO_CREDENTIALS


@dataclass(frozen=True)
class Access:
    """`guarded_hosts` are those that somebody has credentials for; `credentials` are ours."""

    credentials: Credentials = NO_CREDENTIALS
    guarded_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class InstallRequest:
    """One platform's lock to be laid out in `staging` so that it works once renamed to `prefix`.

    `link_script_packages` names the packages whose post-link scripts may run (`*` for all).
    `permissions` is the octal mode of directories, None leaves what the umask gave.
    `moment` is the time that its history names.
    `trash` is a directory on the file system of `prefix` where leftovers go at once, to be deleted later; None is
    `.trash` beside `staging`.
    """

    lock: PlatformLock
    staging: Path
    prefix: Path
    requested: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    pip_options: tuple[str, ...] = ()
    link_script_packages: frozenset[str] = frozenset()
    compiles_pyc: bool = False
    permissions: int | None = None
    uid: int | None = None
    gid: int | None = None
    trash: Path | None = None
    credentials: Credentials = NO_CREDENTIALS
    moment: datetime = field(default_factory=partial(datetime.now, UTC))


@dataclass(frozen=True)
class Installed:
    """`size` is what the files of the environment hold together, in bytes; `shared_size` is how much of it is links to
    what the package cache holds, None where that is not known."""

    size: int
    files: int
    shared_size: int | None = None


class PackageSearch(Protocol):
    """Finds packages in what the channels offer (not in what has been installed)."""

    def search(self, query: PackageQuery) -> PackagePage:
        """The page of packages that the query asks for."""

    async def refresh(self, channels: Sequence[str], platforms: Sequence[str]) -> Sequence[IndexedChannel]:
        """Read anew those of the channels that changed, and drop others that were indexed before.

        Raises:
            ChannelUnavailable: some cannot be read (each is named); the others are up to date nevertheless.
        """

    def channels(self) -> Sequence[IndexedChannel]:
        """What is indexed, by channel and subdir."""


class Builder(Protocol):
    def prepare(self) -> None:
        """Load now what whoever asks first would have to wait for."""

    def problems(self, specification: Specification) -> tuple[Problem, ...]:
        """What is wrong with the grammar of its match specs, pip requirements and pip options."""

    def conda_name(self, match_spec: str) -> str:
        """The package name in a match spec, normalized."""

    def pypi_name(self, requirement: str) -> str:
        """The distribution name in a pip requirement, normalized."""

    def read(self, text: bytes, *, format: str | None, name: str | None) -> AnySpecification:
        """The specification in a file's text (see `builder.formats`); `name` fills in where the format has none.

        Raises:
            InvalidSpecification: with line or path of each problem.
        """

    async def channel_state(self, request: SolveRequest) -> str:
        """A digest of the present state of the request's channels: while it stays equal, so does a solve.

        Raises:
            ChannelUnavailable: a channel cannot be reached.
        """

    async def solve(self, request: SolveRequest, reporter: Reporter) -> Lock:
        """The packages for every platform asked for.

        Raises:
            Unsolvable: with an explanation that a person can read.
            PolicyViolation: the pip part has what the policy refuses.
            ChannelUnavailable: the repodata cannot be had.
        """

    async def refusals(
        self, lock: Lock, policy: PackagePolicy, channel_alias: str, access: Access
    ) -> tuple[Refusal, ...]:
        """What a policy refuses of a lock that was handed in; licence and age are those that the channels tell.

        Raises:
            PackageNotFound: a package lies on a guarded host that refuses it to us, although it may be in the cache.
            ChannelUnavailable: a channel cannot be asked.
        """

    async def install(self, request: InstallRequest, reporter: Reporter) -> Installed:
        """Lay out an environment: download what is not cached, link, install the pip part, rename into place.

        When it returns, `prefix` is complete; when it raises, nothing is at `prefix`.

        Raises:
            BuildFailed: its subclass says what, and whether trying again may help.
        """

    async def extracted(
        self, lock: PlatformLock, scratch: Path, reporter: Reporter, credentials: Credentials = NO_CREDENTIALS
    ) -> Mapping[str, Path]:
        """Where the extracted conda packages of a lock lie, by package name: to be read only.

        What is not there is fetched. `scratch` is a directory on the cache's file system, not there yet, which may be
        used on the way, and which the caller removes.

        Raises:
            BuildFailed: a package cannot be had.
        """

    async def tidy(self) -> int:
        """Delete, slowly, what killed processes left in the caches and what was dropped; how many files went."""

    async def close(self) -> None:
        """Let go of connections and caches."""
