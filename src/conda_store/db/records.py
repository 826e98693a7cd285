"""Rows as the rest of conda-store sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from conda_store.domain.access import Holder, TokenKind, Way
from conda_store.domain.artifact import ArtifactState, ArtifactType
from conda_store.domain.build import BuildOrigin, BuildStatus


@dataclass(frozen=True)
class NamespaceRecord:
    id: int
    name: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class EnvironmentRecord:
    """`status` is that of the current build."""

    id: int
    namespace: NamespaceRecord
    name: str
    current_build_id: int | None
    description: str | None
    activation_floor: int
    linked_build_id: int | None
    status: BuildStatus | None = None


@dataclass(frozen=True)
class SpecificationRecord:
    id: int
    name: str
    spec: Mapping[str, Any]
    sha256: str
    created_on: datetime
    is_lockfile: bool


@dataclass(frozen=True)
class BuildRecord:
    """A build with the names of its environment; `size` in bytes, of which `shared_size` are shared with the package
    cache and other builds (None: not known)."""

    id: int
    specification_id: int
    environment_id: int
    namespace: str
    environment: str
    status: BuildStatus
    status_info: str | None
    size: int
    scheduled_on: datetime
    started_on: datetime | None
    ended_on: datetime | None
    deleted_on: datetime | None
    build_key_version: int
    key: str
    prefix: str | None
    lock_digest: str | None
    progress: Mapping[str, Any] | None
    attempt: int
    owner: str | None
    cancel_requested: bool
    submitted_by: str | None = None
    origin: BuildOrigin = BuildOrigin.SUBMITTED
    shared_size: int | None = None
    has_plain_image: bool = False


@dataclass(frozen=True)
class BuildGlance:
    """What changes while a build runs; `log_sequence` is the number of its last chunk of log, 0 for none."""

    id: int
    status: BuildStatus
    status_info: str | None
    progress: Mapping[str, Any] | None
    log_sequence: int


@dataclass(frozen=True)
class ArtifactRecord:
    id: int
    build_id: int
    type: ArtifactType
    key: str
    state: ArtifactState = ArtifactState.READY
    size: int = 0
    sha256: str | None = None
    message: str | None = None
    attempt: int = 0
    owner: str | None = None


@dataclass(frozen=True)
class ChannelRecord:
    id: int
    name: str
    last_update: datetime | None


@dataclass(frozen=True)
class BuildPackageRecord:
    id: int
    channel: ChannelRecord
    name: str
    version: str
    build: str
    license: str | None


@dataclass(frozen=True)
class LogChunk:
    sequence: int
    text: str


@dataclass(frozen=True)
class RoleRecord:
    """A role that `namespace` has given to `holder` on `entity_namespace/entity_environment`, by name."""

    id: int
    way: Way
    namespace: str
    holder: Holder
    entity_namespace: str
    entity_environment: str
    role: str
    given_by: str
    given_on: datetime

    @property
    def entity(self) -> str:
        return f"{self.entity_namespace}/{self.entity_environment}"


@dataclass(frozen=True)
class ShareLinkRecord:
    """A link to read `namespace/environment`; what stands in it is known to nobody but who has it."""

    id: int
    namespace: str
    environment: str
    given_by: str
    given_on: datetime
    expires_on: datetime


@dataclass(frozen=True)
class NamespaceUsage:
    """`storage` in bytes: what the builds hold, shared files counted in each."""

    name: str
    environments: int
    builds: int
    storage: int


@dataclass(frozen=True)
class AccountRecord:
    """Somebody who has logged in, as `provider` described them the last time. `bindings`: entity -> roles.

    `owns_namespace`: the namespace of their name is theirs, as nobody had made it before they came.
    """

    name: str
    provider: str
    groups: tuple[str, ...]
    bindings: Mapping[str, Sequence[str]]
    owns_namespace: bool = field(default=True, compare=False)


@dataclass(frozen=True)
class TokenRecord:
    """`limits`: entity -> roles, None for a token that is not narrowed. `account` is None where it is no person's."""

    id: int
    kind: TokenKind
    name: str
    identity: str
    primary_namespace: str
    limits: Mapping[str, Sequence[str]] | None
    parent_id: int | None
    created_on: datetime
    expires_on: datetime | None
    last_used_on: datetime | None
    account: AccountRecord | None = None
