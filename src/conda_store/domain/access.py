"""Who may do what: permissions, roles, bindings, and the one rule that joins them.

A binding gives a role on `namespace/environment`, where `*` stands for any run of characters but `/`.
A target is a namespace, an environment in one, or the deployment itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from conda_store.domain.names import ALLOWED_CHARACTERS
from conda_store.errors import Forbidden, InvalidInput, NotFound

_ENTITY = re.compile(rf"([{ALLOWED_CHARACTERS}*]+)/([{ALLOWED_CHARACTERS}*]+)")


class Permission(StrEnum):
    ENVIRONMENT_CREATE = "environment:create"  # a single colon, as clients know it
    ENVIRONMENT_READ = "environment::read"
    ENVIRONMENT_UPDATE = "environment::update"
    ENVIRONMENT_DELETE = "environment::delete"
    ENVIRONMENT_SOLVE = "environment::solve"
    BUILD_CANCEL = "build::cancel"
    BUILD_DELETE = "build::delete"
    NAMESPACE_CREATE = "namespace::create"
    NAMESPACE_READ = "namespace::read"
    NAMESPACE_UPDATE = "namespace::update"
    NAMESPACE_DELETE = "namespace::delete"
    NAMESPACE_ROLE_MAPPING_CREATE = "namespace-role-mapping::create"
    NAMESPACE_ROLE_MAPPING_READ = "namespace-role-mapping::read"
    NAMESPACE_ROLE_MAPPING_UPDATE = "namespace-role-mapping::update"
    NAMESPACE_ROLE_MAPPING_DELETE = "namespace-role-mapping::delete"
    SETTING_READ = "setting::read"
    SETTING_UPDATE = "setting::update"


class Role(StrEnum):
    VIEWER = "viewer"
    DEVELOPER = "developer"
    ADMIN = "admin"


_VIEWER = frozenset({Permission.ENVIRONMENT_READ, Permission.NAMESPACE_READ, Permission.NAMESPACE_ROLE_MAPPING_READ})
_DEVELOPER = _VIEWER | {
    Permission.ENVIRONMENT_CREATE,
    Permission.ENVIRONMENT_UPDATE,
    Permission.ENVIRONMENT_SOLVE,
    Permission.BUILD_CANCEL,
    Permission.SETTING_READ,
}
ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.DEVELOPER: _DEVELOPER,
    Role.ADMIN: frozenset(Permission),
}


def parse_role(text: str) -> Role:
    """`editor` is another word for `developer`.

    Raises:
        InvalidInput: it is none of viewer, editor, developer, admin.
    """
    try:
        return Role.DEVELOPER if text == "editor" else Role(text)
    except ValueError:
        raise InvalidInput(f"invalid role={text}", hint="Roles are viewer, editor (= developer) and admin.") from None


@dataclass(frozen=True)
class Target:
    """What an action touches: an environment, a namespace (environment None) or the deployment (both None)."""

    namespace: str | None = None
    environment: str | None = None


@dataclass(frozen=True)
class RoleBinding:
    """`role` on everything that `namespace/environment` matches."""

    namespace: str
    environment: str
    role: Role

    @property
    def entity(self) -> str:
        return f"{self.namespace}/{self.environment}"

    def covers(self, target: Target) -> bool:
        """A namespace needs a namespace-wide binding; the deployment needs `*/*`."""
        if target.namespace is None:
            return set(self.namespace) == {"*"} and set(self.environment) == {"*"}
        if not _pattern(self.namespace).fullmatch(target.namespace):
            return False
        if target.environment is None:
            return set(self.environment) == {"*"}
        return _pattern(self.environment).fullmatch(target.environment) is not None

    def contains(self, other: RoleBinding) -> bool:
        """Whether everything that the other matches is matched by this one: a `*` is matched by a `*` only."""
        first, second = _pattern(self.namespace), _pattern(self.environment)
        return bool(first.fullmatch(other.namespace) and second.fullmatch(other.environment))


def _permissions(bindings: Iterable[RoleBinding]) -> frozenset[Permission]:
    return frozenset().union(*(ROLE_PERMISSIONS[binding.role] for binding in bindings))


def parse_binding(entity: str, role: str) -> RoleBinding:
    """A binding from its text, as in `{"team-*/*": "developer"}`.

    Raises:
        InvalidInput: the entity is not `namespace/environment`, or the role is unknown.
    """
    match = _ENTITY.fullmatch(entity)
    if match is None:
        raise InvalidInput(
            f"invalid entity={entity}", hint="An entity is `namespace/environment`; `*` matches any run."
        )
    return RoleBinding(match[1], match[2], parse_role(role))


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("[^/]*".join(re.escape(part) for part in text.split("*")))


@dataclass(frozen=True)
class Actor:
    """Whoever asks. `bindings` are all that apply to them; `expires` is None where they do not expire.

    `limits` are those of a narrowed token: what it permits is what both its owner and they permit. `groups` are the
    owner's, `identity` tells whose tokens are theirs (`user:alice`).
    """

    name: str
    primary_namespace: str
    bindings: tuple[RoleBinding, ...] = ()
    is_authenticated: bool = False
    expires: datetime | None = None
    limits: tuple[RoleBinding, ...] | None = None
    groups: tuple[str, ...] = ()
    identity: str = ""

    def permissions(self, target: Target) -> frozenset[Permission]:
        """Everything the actor may do to the target."""
        held = _permissions(binding for binding in self.bindings if binding.covers(target))
        if self.limits is None:
            return held
        return held & _permissions(binding for binding in self.limits if binding.covers(target))

    def permissions_over(self, pattern: RoleBinding) -> frozenset[Permission]:
        """What the actor may do to everything that the binding matches."""
        held = _permissions(binding for binding in self.bindings if binding.contains(pattern))
        if self.limits is None:
            return held
        return held & _permissions(binding for binding in self.limits if binding.contains(pattern))

    def may_grant(self, binding: RoleBinding) -> bool:
        """Whether the binding gives nothing that the actor does not have."""
        return _permissions([binding]) <= self.permissions_over(binding)

    @property
    def effective_bindings(self) -> tuple[RoleBinding, ...]:
        """The bindings to show: of a narrowed token its limits."""
        return self.bindings if self.limits is None else self.limits

    def may(self, permission: Permission, target: Target) -> bool:
        return permission in self.permissions(target)

    def require(self, permission: Permission, target: Target) -> None:
        """
        Raises:
            NotFound: the actor may not even see the target.
            Forbidden: they see it, but may not do this.
        """
        held = self.permissions(target)
        if permission in held:
            return
        if target.environment is not None and Permission.ENVIRONMENT_READ not in held:
            raise NotFound("environment does not exist")
        if target.namespace is not None and target.environment is None and Permission.NAMESPACE_READ not in held:
            raise NotFound("namespace does not exist")
        raise Forbidden

    def require_all(self, permissions: Iterable[Permission], target: Target) -> None:
        for permission in permissions:
            self.require(permission, target)


def readable_patterns(actor: Actor) -> tuple[tuple[tuple[str, str], ...], ...]:
    """The (namespace, environment) patterns of what the actor may read: one of each tuple has to match.

    A narrowed token has two of them; `db` turns them into SQL.
    """
    layers = (actor.bindings,) if actor.limits is None else (actor.bindings, actor.limits)
    return tuple(
        tuple(
            (binding.namespace, binding.environment)
            for binding in bindings
            if Permission.ENVIRONMENT_READ in ROLE_PERMISSIONS[binding.role]
        )
        for bindings in layers
    )


# the service acting by itself: watched files, housekeeping
SYSTEM = Actor("system", "default", (RoleBinding("*", "*", Role.ADMIN),), is_authenticated=True)
