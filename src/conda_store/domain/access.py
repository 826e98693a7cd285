"""Who may do what: bindings of roles, and the one rule that joins them.

A binding gives a role on `namespace/environment`, where `*` stands for any run of characters but `/`.
A target is a namespace, an environment in one, or the deployment itself. A binding knows where it comes from, so that
a decision can be explained.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from conda_store.domain import audit
from conda_store.domain.names import ALLOWED_CHARACTERS, MAX_NAME_LENGTH
from conda_store.domain.roles import BUILT_IN_ROLES, Permission, Role, Roles
from conda_store.errors import Forbidden, InvalidInput, NotFound

_PART = rf"([{ALLOWED_CHARACTERS}*]{{1,{MAX_NAME_LENGTH}}})"
_ENTITY = re.compile(rf"{_PART}/{_PART}")


@dataclass(frozen=True)
class Target:
    """What an action touches: an environment, a namespace (environment None) or the deployment (both None)."""

    namespace: str | None = None
    environment: str | None = None

    def __str__(self) -> str:
        if self.namespace is None:
            return "the deployment"
        return f"namespace {self.namespace}" if self.environment is None else f"{self.namespace}/{self.environment}"


def not_there(target: Target) -> NotFound:
    """What is answered whether a namespace or an environment does not exist or may not be seen."""
    what = "namespace" if target.environment is None else "environment"
    return NotFound(f"{what} does not exist", hint=f"There is no {target}, or you may not see it.")


class HolderKind(StrEnum):
    """NAMESPACE: everybody whose primary namespace it is."""

    USER = "user"
    GROUP = "group"
    NAMESPACE = "namespace"


@dataclass(frozen=True)
class Holder:
    """Who can be given a role."""

    kind: HolderKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Way(StrEnum):
    """How a role was given: by the role mappings of a namespace in version 1, in version 2, or by sharing."""

    MAPPING = "mapping"
    MAPPING_V2 = "mapping-v2"
    SHARE = "share"


class Source(StrEnum):
    CONFIGURATION = "configuration"
    GROUP = "group"
    LOGIN = "login"
    TOKEN = "token"  # noqa: S105 - the word, not one
    ROLE_MAPPING = "role mapping"
    SHARE = "share"
    SHARE_LINK = "share link"


@dataclass(frozen=True)
class Origin:
    """Why somebody has a role: `for_whom` in words ("everybody", "group science")."""

    source: Source
    for_whom: str = ""

    def __str__(self) -> str:
        return f"{self.source}, for {self.for_whom}" if self.for_whom else str(self.source)


@dataclass(frozen=True)
class RoleBinding:
    """`role` on everything that `namespace/environment` matches."""

    namespace: str
    environment: str
    role: Role
    origin: Origin | None = field(default=None, compare=False)

    @property
    def entity(self) -> str:
        return f"{self.namespace}/{self.environment}"

    @property
    def is_namespace_wide(self) -> bool:
        return set(self.environment) == {"*"}

    @property
    def is_everywhere(self) -> bool:
        return self.is_namespace_wide and set(self.namespace) == {"*"}

    def covers(self, target: Target) -> bool:
        """A namespace needs a namespace-wide binding; the deployment needs `*/*`."""
        if target.namespace is None:
            return self.is_everywhere
        if not matches(self.namespace, target.namespace):
            return False
        return self.is_namespace_wide if target.environment is None else matches(self.environment, target.environment)

    def contains(self, other: RoleBinding) -> bool:
        """Whether everything that `other` covers is covered by this one, whatever their roles are."""
        return matches(self.namespace, other.namespace) and matches(self.environment, other.environment)

    def __str__(self) -> str:
        return f"{self.role} on {self.entity}" + (f" ({self.origin})" if self.origin else "")


def parse_binding(entity: str, role: str, roles: Roles = BUILT_IN_ROLES, origin: Origin | None = None) -> RoleBinding:
    """A binding from its text, as in `{"team-*/*": "developer"}`.

    Raises:
        InvalidInput: the entity is not `namespace/environment`, or the role is unknown.
    """
    match = _ENTITY.fullmatch(entity)
    if match is None:
        raise InvalidInput(
            f"invalid entity={entity[:200]}",
            hint="An entity is `namespace/environment`, neither longer than a name; `*` matches any run.",
        )
    return RoleBinding(match[1], match[2], roles.parse(role), origin)


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern with `*` matches a name, or holds all that another pattern does.

    A `*` in `text` is a character that only a `*` of the pattern matches. The time grows with the length of both, and
    not with the number of `*` (a regular expression's would): patterns come from whoever narrows a token.
    """
    first, *rest = _pieces(pattern)
    if not rest:
        return text == first
    last = rest[-1]
    if "/" in text or len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in rest[:-1]:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


@lru_cache(maxsize=4096)
def _pieces(pattern: str) -> list[str]:
    return re.split(r"\*+", pattern)


@dataclass(frozen=True)
class Decision:
    """Whether somebody may do something, and why.

    `granting` are the bindings that permit it, `others` those that cover the target without permitting it.
    `is_withheld`: the bindings would permit it, but the token that was used is narrower.
    """

    actor: str
    permission: Permission
    target: Target
    is_allowed: bool
    granting: tuple[RoleBinding, ...]
    others: tuple[RoleBinding, ...]
    is_withheld: bool = False

    def __str__(self) -> str:
        verdict = "may" if self.is_allowed else "may not"
        text = f"{self.actor} {verdict} {self.permission} on {self.target}: "
        if self.is_withheld:
            return text + "the token is narrower than " + _listed(self.granting)
        if self.is_allowed:
            return text + _listed(self.granting)
        return text + (f"has only {_listed(self.others)}" if self.others else "has no role there")


def _listed(bindings: Iterable[RoleBinding]) -> str:
    return "; ".join(str(binding) for binding in bindings)


class TokenKind(StrEnum):
    SESSION = "session"  # of a login; logging out ends it
    TOKEN = "token"  # noqa: S105 - the name of a kind


@dataclass(frozen=True)
class Actor:
    """Whoever asks.

    `bindings` are all that apply to them. `limits`, where there are any, are those of a narrowed token: only what both
    its owner and they permit is permitted. `groups` are the owner's, `identity` tells whose tokens are theirs
    (`user:alice`), `token_id` which of them was brought, or logged in with; none after a login without one.
    `expires` is None where they do not expire. `has_namespace`: what the primary namespace is given is theirs, too.
    """

    name: str
    primary_namespace: str
    bindings: tuple[RoleBinding, ...] = ()
    is_authenticated: bool = False
    expires: datetime | None = None
    limits: tuple[RoleBinding, ...] | None = None
    groups: tuple[str, ...] = ()
    identity: str = ""
    token_id: int | None = None
    has_namespace: bool = True

    @property
    def holders(self) -> tuple[Holder, ...]:
        """As whom the actor is given roles; none who has not said who they are. A token's primary namespace may be of
        its owner's choosing: ask the owner."""
        if not self.is_authenticated:
            return ()
        groups = tuple(Holder(HolderKind.GROUP, group) for group in self.groups)
        namespaces = (Holder(HolderKind.NAMESPACE, self.primary_namespace),) if self.has_namespace else ()
        return (Holder(HolderKind.USER, self.name), *groups, *namespaces)

    @property
    def layers(self) -> tuple[tuple[RoleBinding, ...], ...]:
        """What is permitted has to be permitted by one binding of each."""
        return (self.bindings,) if self.limits is None else (self.bindings, self.limits)

    def permissions(self, target: Target) -> frozenset[Permission]:
        """Everything the actor may do to the target."""
        return frozenset.intersection(
            *(_union(binding for binding in layer if binding.covers(target)) for layer in self.layers)
        )

    def may(self, permission: Permission, target: Target) -> bool:
        return permission in self.permissions(target)

    def may_somewhere(self, permission: Permission) -> bool:
        """Whether there may be anything to which the actor may do this."""
        return all(any(permission in binding.role.permissions for binding in layer) for layer in self.layers)

    def sees(self, target: Target) -> bool:
        """Whether the actor may know that the target exists: an environment if they may read it, a namespace if they
        may read it or something in it."""
        if target.namespace is None:
            return True
        if target.environment is not None:
            return self.may(Permission.ENVIRONMENT_READ, target)
        name = target.namespace
        return all(any(matches(pattern, name) for pattern in namespace_patterns(layer)) for layer in self.layers)

    def decide(self, permission: Permission, target: Target) -> Decision:
        """Whether the actor may, and because of which bindings."""
        covering = [binding for binding in self.bindings if binding.covers(target)]
        granting = tuple(binding for binding in covering if permission in binding.role.permissions)
        is_allowed = self.may(permission, target)
        return Decision(
            self.name,
            permission,
            target,
            is_allowed,
            granting,
            tuple(binding for binding in covering if binding not in granting),
            is_withheld=bool(granting) and not is_allowed,
        )

    def require(
        self, permission: Permission, target: Target, *, is_new: bool = False, unseen: NotFound | None = None
    ) -> None:
        """
        `is_new`: the target is named by the actor, who learns nothing of what exists: always Forbidden.
        `unseen` is what is answered of a target that may not be seen, where it is not named by the actor.

        Raises:
            NotFound: the actor may not even see the target.
            Forbidden: they see it, but may not do this.
        """
        if self.may(permission, target):
            if not permission.is_reading:
                self._note(permission, target, is_allowed=True)
            return
        if self.is_authenticated or not permission.is_reading:
            self._note(permission, target, is_allowed=False)
        reason = str(self.decide(permission, target))
        if is_new or self.sees(target):
            lacking = f"It needs {permission} on {target}, which you do not have: ask an admin for a role."
            raise Forbidden(hint=lacking if self.is_authenticated else "", reason=reason)
        missing = unseen or not_there(target)
        missing.reason = reason
        raise missing

    def require_somewhere(self, permission: Permission) -> None:
        """
        Raises:
            Forbidden: there is nothing to which the actor may do this.
        """
        if not self.may_somewhere(permission):
            raise Forbidden(reason=f"{self.name} may {permission} nowhere")

    def _note(self, permission: Permission, target: Target, *, is_allowed: bool) -> None:
        token = f"token {self.token_id}" if self.token_id is not None else ""
        audit.note(
            self.name, permission.value, target.namespace, target.environment, is_allowed=is_allowed, token=token
        )

    def require_all(self, permissions: Iterable[Permission], target: Target) -> None:
        for permission in permissions:
            self.require(permission, target)

    def permissions_over(self, pattern: RoleBinding) -> frozenset[Permission]:
        """What the actor may do to everything that the binding matches."""
        return frozenset.intersection(
            *(_union(binding for binding in layer if binding.contains(pattern)) for layer in self.layers)
        )

    def may_grant(self, binding: RoleBinding) -> bool:
        """Whether the binding gives nothing that the actor does not have."""
        return binding.role.permissions <= self.permissions_over(binding)

    @property
    def effective_bindings(self) -> tuple[RoleBinding, ...]:
        """The bindings to show: of a narrowed token its limits."""
        return self.bindings if self.limits is None else self.limits


def _union(bindings: Iterable[RoleBinding]) -> frozenset[Permission]:
    return frozenset().union(*(binding.role.permissions for binding in bindings))


def environment_patterns(bindings: Iterable[RoleBinding]) -> tuple[tuple[str, str], ...]:
    """The (namespace, environment) patterns of what may be read: `db` turns them into SQL."""
    return tuple(
        (binding.namespace, binding.environment)
        for binding in bindings
        if Permission.ENVIRONMENT_READ in binding.role.permissions
    )


def namespace_patterns(bindings: Iterable[RoleBinding]) -> tuple[str, ...]:
    """The patterns of the namespaces that may be seen: `db` turns them into SQL."""
    return tuple(
        binding.namespace
        for binding in bindings
        if Permission.ENVIRONMENT_READ in binding.role.permissions
        or (binding.is_namespace_wide and Permission.NAMESPACE_READ in binding.role.permissions)
    )


# the service acting by itself: watched files, housekeeping
SYSTEM = Actor("system", "default", (RoleBinding("*", "*", Role.ADMIN),), is_authenticated=True)
