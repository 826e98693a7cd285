"""Who has access and why, and why somebody may or may not do something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from conda_store.auth.rules import FROM_LOGIN, AccessRules, known_bindings
from conda_store.db import namespaces, roles, share_links, tokens
from conda_store.db.records import AccountRecord
from conda_store.domain.access import Actor, Decision, Origin, RoleBinding, Source, Target, matches
from conda_store.domain.roles import LINK_READER, Permission, Role
from conda_store.services.access import require_known, source_of, ways_in_force, with_given_roles
from conda_store.services.authentication import owns_namespace
from conda_store.services.context import Context

_CONFIGURED = Origin(Source.CONFIGURATION)


@dataclass(frozen=True)
class Access:
    """That somebody has a role, and since when from whom where that is known; the binding's origin says why."""

    holder: str
    binding: RoleBinding
    given_by: str | None = None
    given_on: datetime | None = None
    expires_on: datetime | None = None


def who_has_access(context: Context, actor: Actor, rules: AccessRules, target: Target) -> tuple[Access, ...]:
    """Everybody who has a role on an environment; of a namespace, on anything in it.

    Configured tokens are named, but not people's own, which can do no more than those whose they are.
    """
    actor.require(Permission.NAMESPACE_ROLE_MAPPING_READ, target)
    require_known(actor)
    configured = (Access(holder, binding) for holder, binding in rules.configured())
    found = [*configured, *_given(context, rules, target)]
    return tuple(access for access in found if _concerns(access.binding, target))


def _concerns(binding: RoleBinding, target: Target) -> bool:
    if target.environment is not None:
        return binding.covers(target)
    return matches(binding.namespace, target.namespace or "")


def _given(context: Context, rules: AccessRules, target: Target) -> Iterator[Access]:
    name, now, ways = target.namespace or "", datetime.now(UTC), ways_in_force(context.deployment)
    with context.database.read() as connection:
        accounts = tokens.accounts(connection)
        held = roles.concerning(connection, name)
        links = share_links.of_namespace(connection, name, target.environment, now)
    for account in accounts:
        if owns_namespace(rules, account):
            yield Access(f"user {account.name}", RoleBinding(account.name, "*", Role.DEVELOPER, _CONFIGURED))
        for binding in known_bindings(account.bindings, rules.roles, FROM_LOGIN):
            yield Access(f"user {account.name}", binding)
    for row in held:
        role = context.deployment.roles.by_name.get(row.role)
        if role is not None and row.way in ways:
            origin = Origin(source_of(row.way))
            binding = RoleBinding(row.entity_namespace, row.entity_environment, role, origin)
            yield Access(str(row.holder), binding, row.given_by, row.given_on)
    for link in links:
        binding = RoleBinding(link.namespace, link.environment, LINK_READER, Origin(Source.SHARE_LINK))
        yield Access(f"whoever has link {link.id}", binding, link.given_by, link.given_on, link.expires_on)


def explain(
    context: Context,
    actor: Actor,
    rules: AccessRules,
    permission: Permission,
    target: Target,
    user: str | None = None,
    groups: Sequence[str] = (),
) -> Decision:
    """Whether and why the actor may do something; or another user, for those who may change roles there.

    `groups` are those that the user would have besides the ones known from their last login.
    """
    if user is None:
        return actor.decide(permission, target)
    actor.require(Permission.NAMESPACE_ROLE_MAPPING_UPDATE, target)
    with context.database.read() as connection:
        account = tokens.find_account(connection, user)
        if account is None:
            is_free = namespaces.find(connection, user) is None
            account = AccountRecord(user, rules.provider, (), {}, is_free)
    known = tuple(dict.fromkeys((*account.groups, *groups)))
    has_namespace = owns_namespace(rules, account)
    bindings = rules.of_user(user, known, account.bindings, owns_namespace=has_namespace)
    asked = Actor(user, user, bindings, is_authenticated=True, groups=known, has_namespace=has_namespace)
    return with_given_roles(context, asked).decide(permission, target)
