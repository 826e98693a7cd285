"""The shapes of answers, as OpenAPI shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from conda_store.domain.access import HolderKind
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.build import BuildStatus

T = TypeVar("T")


class Failure(BaseModel):
    status: Literal["error"]
    message: str
    hint: str | None = None
    refused: list[RefusalShape] | None = None


class RefusalShape(BaseModel):
    """A rule, the layer of settings that sets it, what it refuses, and why."""

    rule: str
    layer: str
    value: str
    why: str


class PolicyShape(BaseModel):
    """A rule: its setting, the value in force, and the layer of settings that sets it."""

    setting: str
    value: Any
    layer: str


class CredentialShape(BaseModel):
    host: str
    namespace: str | None
    kind: str
    set_by: str
    set_on: datetime


class SealedShape(BaseModel):
    count: int


class AuditShape(BaseModel):
    """`token` and `detail` may be empty; `request_id` is that of the server's log."""

    id: int
    time: datetime
    actor: str
    token: str
    address: str
    action: str
    namespace: str | None
    environment: str | None
    detail: str
    allowed: bool
    request_id: str


class QuotaShape(BaseModel):
    """`used` is null where it is not a sum, but holds for each build."""

    name: str
    limit: int | None
    used: int | None
    layer: str


class Acknowledgement(BaseModel):
    status: Literal["ok"]
    message: str | None


class Answer(BaseModel, Generic[T]):
    status: Literal["ok"]
    data: T
    message: str | None


class PageOf(BaseModel, Generic[T]):
    """`count` is the number of rows on all pages."""

    status: Literal["ok"]
    data: list[T]
    message: str | None = None
    page: int
    size: int
    count: int


class CursorPageOf(BaseModel, Generic[T]):
    """`cursor` leads to the next page."""

    data: list[T]
    status: Literal["ok"]
    message: str | None
    cursor: str
    count: int


class VersionShape(BaseModel):
    version: str


class PermissionShape(BaseModel):
    authenticated: bool
    primary_namespace: str
    entity_permissions: dict[str, list[str]]
    entity_roles: dict[str, list[str]]
    expiration: datetime | None


class UsageShape(BaseModel):
    """`storage` in bytes."""

    num_environments: int
    num_builds: int
    storage: int


class NamespaceRow(BaseModel):
    id: int
    name: str


class RoleMappingShape(BaseModel):
    id: int
    entity: str
    role: str


class NamespaceRoleShape(BaseModel):
    """Those of `other_namespace` have `role` in `namespace`."""

    id: int
    namespace: str
    other_namespace: str
    role: str


class ShareShape(BaseModel):
    """`entity` is `namespace/environment`, with `*` for the whole namespace."""

    id: int
    kind: HolderKind
    name: str
    entity: str
    role: str
    given_by: str
    given_on: datetime


class ShareLinkShape(BaseModel):
    id: int
    entity: str
    given_by: str
    given_on: datetime
    expires_on: datetime


class NewShareLinkShape(ShareLinkShape):
    """`token` is told this once; `url` is the same as an address for browsers."""

    token: str
    url: str


class BindingShape(BaseModel):
    """A role on `namespace/environment`, either of which may hold `*`. `source` says why: configuration, login, token,
    role mapping, share, share link; `whom` for whom, where it is not this very user."""

    entity: str
    role: str
    source: str
    whom: str


class AccessShape(BaseModel):
    holder: str
    entity: str
    role: str
    source: str
    given_by: str | None
    given_on: datetime | None
    expires_on: datetime | None


class DecisionShape(BaseModel):
    """`granting` are the bindings that permit it, `others` those that do not reach. `withheld`: the token is too narrow
    for them."""

    user: str
    permission: str
    namespace: str | None
    environment: str | None
    allowed: bool
    withheld: bool
    explanation: str
    granting: list[BindingShape]
    others: list[BindingShape]


class NamespaceShape(NamespaceRow):
    metadata_: dict[str, Any] | None
    role_mappings: list[RoleMappingShape]


class EnvironmentShape(BaseModel):
    id: int
    namespace: NamespaceShape
    name: str
    current_build_id: int | None
    current_build: None = None
    description: str | None
    current_build_status: BuildStatus | None = None


class EnvironmentRowV2(BaseModel):
    id: int
    namespace: NamespaceShape
    name: str
    current_build_id: int | None
    description: str | None


class SpecificationShape(BaseModel):
    id: int
    name: str
    spec: dict[str, Any]
    sha256: str
    created_on: datetime


class ArtifactShape(BaseModel):
    """What an image consists of (`DOCKER_BLOB`) has ids of up to 52 bits."""

    id: int
    artifact_type: ArtifactType
    key: str


class BuildShape(BaseModel):
    """`size` in bytes. Lists leave `specification` and `build_artifacts` null."""

    id: int
    environment_id: int
    specification: SpecificationShape | None
    packages: None = None
    status: BuildStatus
    status_info: str | None
    size: int
    scheduled_on: datetime
    started_on: datetime | None
    ended_on: datetime | None
    build_artifacts: list[ArtifactShape] | None


class BuildIdShape(BaseModel):
    build_id: int


class ChannelShape(BaseModel):
    id: int
    name: str
    last_update: datetime | None


class PackageShape(BaseModel):
    id: int
    channel: ChannelShape
    license: str | None
    name: str
    version: str
    summary: str | None


class SolvedPackageShape(BaseModel):
    """`channel_id` is the channel's URL, `size` in bytes, `timestamp` in milliseconds."""

    model_config = ConfigDict(extra="allow")

    id: int
    package_id: int
    channel_id: str
    name: str
    version: str
    channel: str
    build: str
    build_number: int
    subdir: str
    size: int


class SolvedShape(BaseModel):
    solve: list[SolvedPackageShape]


class NewTokenShape(BaseModel):
    token: str


class TokenShape(BaseModel):
    """`role_bindings` null: whatever the owner has."""

    id: int
    kind: Literal["session", "token"]
    name: str
    owner: str
    primary_namespace: str
    role_bindings: dict[str, list[str]] | None
    created_on: datetime
    expiration: datetime | None
    last_used_on: datetime | None


class UserShape(BaseModel):
    name: str
    authenticated: bool
    primary_namespace: str
    groups: list[str]
    expiration: datetime | None
    token_id: int | None
