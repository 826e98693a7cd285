"""What the operator decides about who may do what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from conda_store.auth.signed import SignedTokens
from conda_store.auth.tokens import Tokens
from conda_store.domain.access import Origin, RoleBinding, Source, matches, parse_binding
from conda_store.domain.names import name_problem
from conda_store.domain.roles import BUILT_IN_ROLES, Role, Roles
from conda_store.errors import InvalidInput

FROM_LOGIN = Origin(Source.LOGIN)
_FROM_TOKEN = Origin(Source.TOKEN)
EVERYTHING = RoleBinding("*", "*", Role.ADMIN, Origin(Source.CONFIGURATION, "admins"))


@dataclass(frozen=True)
class AccessRules:
    """`provider` is the name of the login provider: accounts of another one are not known.

    `users` and `groups` give bindings by name; who is in `admin_users`, or in one of `admin_groups`, is admin of
    everything. Where `allowed_users` or `allowed_groups` are named, only they and admins may log in.
    `shared_namespaces` are nobody's own, whatever their name, and neither are those given to groups.
    `session_lifetime` is that of a login, `token_lifetime` that of tokens which people ask for on a page or with
    `conda-store login`.
    """

    roles: Roles = BUILT_IN_ROLES
    tokens: Tokens = field(default_factory=lambda: Tokens({}))
    signed: SignedTokens | None = None
    anonymous: tuple[RoleBinding, ...] = (RoleBinding("default", "*", Role.VIEWER),)
    authenticated: tuple[RoleBinding, ...] = (
        RoleBinding("default", "*", Role.VIEWER),
        RoleBinding("filesystem", "*", Role.VIEWER),
    )
    users: Mapping[str, tuple[RoleBinding, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[RoleBinding, ...]] = field(default_factory=dict)
    admin_users: frozenset[str] = frozenset()
    admin_groups: frozenset[str] = frozenset()
    allowed_users: frozenset[str] = frozenset()
    allowed_groups: frozenset[str] = frozenset()
    shared_namespaces: frozenset[str] = frozenset({"default", "filesystem"})
    provider: str = "Authentication"
    session_lifetime: timedelta = timedelta(days=1)
    token_lifetime: timedelta = timedelta(days=90)

    def of_user(
        self,
        name: str,
        groups: Iterable[str],
        given: Mapping[str, Sequence[str]] | None = None,
        *,
        owns_namespace: bool = True,
    ) -> tuple[RoleBinding, ...]:
        """All bindings of somebody who has logged in; `given` are those that the provider told of. `owns_namespace`:
        the namespace of their name is theirs."""
        found = list(known_bindings(given or {}, self.roles, FROM_LOGIN))
        if owns_namespace and self.has_own_namespace(name):
            found.append(
                RoleBinding(name, "*", Role.DEVELOPER, Origin(Source.CONFIGURATION, "everybody in their own namespace"))
            )
        found += self.users.get(name, ())
        for group in groups:
            found += self.groups.get(group, ())
        if self.is_admin(name, groups):
            found.append(EVERYTHING)
        return self.with_everybody(tuple(dict.fromkeys(found)))

    def with_everybody(self, own: tuple[RoleBinding, ...]) -> tuple[RoleBinding, ...]:
        """With what all have who are logged in; where both speak of the same entity the own bindings hold."""
        entities = {binding.entity for binding in own}
        return tuple(binding for binding in self.authenticated if binding.entity not in entities) + own

    def configured(self) -> Iterator[tuple[str, RoleBinding]]:
        """For whom the configuration has which bindings, in words."""
        yield from (("everybody", binding) for binding in self.anonymous)
        yield from (("everybody who is logged in", binding) for binding in self.authenticated)
        yield from ((f"user {name}", binding) for name, held in self.users.items() for binding in held)
        yield from ((f"group {name}", binding) for name, held in self.groups.items() for binding in held)
        yield from ((f"user {name}", EVERYTHING) for name in sorted(self.admin_users))
        yield from ((f"group {name}", EVERYTHING) for name in sorted(self.admin_groups))
        for grant in self.tokens.valid():
            holder = f"token {grant.name}" if grant.name else f"a token of namespace {grant.primary_namespace}"
            yield from ((holder, binding) for binding in grant.bindings)

    def is_admin(self, name: str, groups: Iterable[str]) -> bool:
        return name in self.admin_users or not self.admin_groups.isdisjoint(groups)

    def lets_in(self, name: str, groups: Iterable[str]) -> bool:
        """Whether somebody whom the provider knows may log in, and stay so."""
        if not self.allowed_users and not self.allowed_groups:
            return True
        is_allowed = name in self.allowed_users or not self.allowed_groups.isdisjoint(groups)
        return is_allowed or self.is_admin(name, groups)

    def has_own_namespace(self, name: str) -> bool:
        """Whether the namespace of a user's name is theirs. People may have chosen their names: who calls themselves
        like the namespace of a team must not get it."""
        return name_problem(name) is None and name not in self.shared_namespaces and not self._is_of_group(name)

    def _is_of_group(self, namespace: str) -> bool:
        given = (binding.namespace for held in self.groups.values() for binding in held)
        return any(set(pattern) != {"*"} and matches(pattern, namespace) for pattern in given)


def known_bindings(
    bindings: Mapping[str, Sequence[str]], roles: Roles, origin: Origin = _FROM_TOKEN
) -> tuple[RoleBinding, ...]:
    """Bindings that were kept; a role that exists no longer gives nothing."""
    found: list[RoleBinding] = []
    for entity, names in bindings.items():
        for role in names:
            try:
                found.append(parse_binding(entity, role, roles, origin))
            except InvalidInput:
                continue
    return tuple(found)


def as_mapping(bindings: Iterable[RoleBinding]) -> dict[str, list[str]]:
    """Bindings as they are kept: entity -> roles."""
    found: dict[str, list[str]] = {}
    for binding in bindings:
        found.setdefault(binding.entity, []).append(str(binding.role))
    return found
