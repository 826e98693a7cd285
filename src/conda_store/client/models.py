"""What the server answers, as types. Sizes are bytes, times aware UTC; `raw` is the row as it was sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from conda_store.domain.build import BuildStatus
from conda_store.domain.platform import current_platform
from conda_store.errors import ServerError

Row = Mapping[str, Any]
T = TypeVar("T")


def parsed(read: Callable[[Any], T], row: Any) -> T:
    """
    Raises:
        ServerError: the row is not what `read` expects.
    """
    try:
        return read(row)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ServerError(
            f"the server's answer cannot be read: {type(error).__name__} {error} in {str(row)[:200]}",
            hint="Is the server a conda-store, and not much older or newer than this client?",
        ) from error


def parsed_time(text: str | None) -> datetime | None:
    """Times come as UTC without a zone."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Permissions:
    """Keys of `entity_permissions` and `entity_roles` are `<namespace>/<environment>` with wildcards."""

    is_authenticated: bool
    primary_namespace: str
    entity_permissions: Mapping[str, tuple[str, ...]]
    entity_roles: Mapping[str, tuple[str, ...]]
    expiration: datetime | None
    raw: Row = field(repr=False, compare=False, default_factory=dict)

    @staticmethod
    def read(row: Row) -> Permissions:
        return Permissions(
            bool(row["authenticated"]),
            row["primary_namespace"],
            {key: tuple(value) for key, value in row["entity_permissions"].items()},
            {key: tuple(value) for key, value in row.get("entity_roles", {}).items()},
            parsed_time(row.get("expiration")),
            row,
        )


@dataclass(frozen=True)
class User:
    """`token_id` is that of the token that was brought; None where the server did not make it."""

    name: str
    is_authenticated: bool
    groups: tuple[str, ...]
    expiration: datetime | None
    token_id: int | None
    raw: Row = field(repr=False, compare=False, default_factory=dict)

    @staticmethod
    def read(row: Row) -> User:
        groups, ends = tuple(map(str, row["groups"])), parsed_time(row["expiration"])
        return User(str(row["name"]), bool(row["authenticated"]), groups, ends, row["token_id"], row)


@dataclass(frozen=True)
class Token:
    """`kind` is `token` or `session`; `role_bindings` None: whatever its owner may do."""

    id: int
    kind: str
    name: str
    owner: str
    role_bindings: Mapping[str, tuple[str, ...]] | None
    expiration: datetime | None
    used: datetime | None
    raw: Row = field(repr=False, compare=False, default_factory=dict)

    @staticmethod
    def read(row: Row) -> Token:
        bindings = row["role_bindings"]
        return Token(
            int(row["id"]),
            str(row["kind"]),
            str(row["name"]),
            str(row["owner"]),
            None if bindings is None else {key: tuple(value) for key, value in bindings.items()},
            parsed_time(row["expiration"]),
            parsed_time(row["last_used_on"]),
            row,
        )


@dataclass(frozen=True)
class Namespace:
    id: int
    name: str
    raw: Row = field(repr=False, compare=False, default_factory=dict)

    @staticmethod
    def read(row: Row) -> Namespace:
        return Namespace(int(row["id"]), str(row["name"]), row)


@dataclass(frozen=True)
class Environment:
    """`current_build_id` is the active build, or the first one while it is not finished; `status` is that build's, None
    where it was not asked for."""

    id: int
    namespace: Namespace
    name: str
    current_build_id: int | None
    description: str
    status: BuildStatus | None = None
    raw: Row = field(repr=False, compare=False, default_factory=dict)

    @staticmethod
    def read(row: Row) -> Environment:
        status = row.get("current_build_status")
        return Environment(
            int(row["id"]),
            Namespace.read(row["namespace"]),
            str(row["name"]),
            row.get("current_build_id"),
            row.get("description") or "",
            BuildStatus(status) if status else None,
            row,
        )


@dataclass(frozen=True)
class Build:
    """In lists `specification` is None and `artifacts` is empty."""

    id: int
    environment_id: int
    status: BuildStatus
    status_info: str
    size: int
    scheduled_on: datetime | None
    started_on: datetime | None
    ended_on: datetime | None
    artifacts: frozenset[str]
    specification: Row | None
    raw: Row = field(repr=False, compare=False, default_factory=dict)

    @staticmethod
    def read(row: Row) -> Build:
        return Build(
            int(row["id"]),
            int(row["environment_id"]),
            BuildStatus(row["status"]),
            row.get("status_info") or "",
            int(row.get("size") or 0),
            parsed_time(row.get("scheduled_on")),
            parsed_time(row.get("started_on")),
            parsed_time(row.get("ended_on")),
            frozenset(artifact["artifact_type"] for artifact in row.get("build_artifacts") or ()),
            row.get("specification"),
            row,
        )

    @property
    def is_deleted(self) -> bool:
        return self.raw.get("deleted_on") is not None

    @property
    def identity(self) -> str:
        """Tells this build from one with the same id in another database behind the same address."""
        sha256 = (self.specification or {}).get("sha256", "")
        return f"{self.id} {sha256} {self.raw.get('scheduled_on')}"


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    channel: str
    license: str = ""
    summary: str = ""
    raw: Row = field(repr=False, compare=False, default_factory=dict)

    @staticmethod
    def read(row: Row) -> Package:
        channel = row.get("channel") or {}
        return Package(
            str(row["name"]),
            str(row["version"]),
            str(channel.get("name", "")),
            row.get("license") or "",
            row.get("summary") or "",
            row,
        )


def pip_packages(lockfile: Row) -> list[Package]:
    """The pip part of a lock in conda-lock's format, for one of its platforms: this machine's, or else the first."""
    platforms = [str(platform) for platform in lockfile["metadata"]["platforms"]]
    ours = current_platform().value
    platform = ours if ours in platforms else platforms[0]
    return [
        Package(str(row["name"]), str(row["version"]), "pypi")
        for row in lockfile["package"]
        if row["manager"] == "pip" and row["platform"] == platform
    ]


@dataclass(frozen=True)
class SolvedPackage:
    name: str
    version: str
    channel: str
    size: int
    raw: Row = field(repr=False, compare=False, default_factory=dict)

    @staticmethod
    def read(row: Row) -> SolvedPackage:
        channel = row.get("channel") or row.get("channel_id") or ""
        if isinstance(channel, Mapping):
            channel = channel.get("name", "")
        return SolvedPackage(str(row["name"]), str(row["version"]), str(channel), int(row.get("size") or 0), row)
