"""From a token to whoever may use it.

A token that was made here gives, at each use, what its owner has at that moment, and where it is narrowed no more than
its limits: who loses a role loses it in all their tokens.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from conda_store.auth.opaque import digest, is_token
from conda_store.auth.rules import AccessRules, known_bindings
from conda_store.auth.signed import SIGNED
from conda_store.auth.tokens import Grant
from conda_store.db import tokens
from conda_store.db.records import AccountRecord, TokenRecord
from conda_store.domain.access import Actor, Target, TokenKind
from conda_store.errors import Unavailable
from conda_store.services.access import with_given_roles
from conda_store.services.context import Context

# how exactly the time of the last use is kept
_USE_IS_NOTED_EVERY = timedelta(minutes=1)


def recognised(context: Context, rules: AccessRules, token: str) -> Actor | None:
    """Whoever may use the token: named in the configuration, made here, or signed with our secret.

    None for a token that is unknown, has expired or was revoked, and for one whose owner is no longer known.
    """
    if grant := rules.tokens.find(token):
        return with_given_roles(context, _of_grant(rules, grant, rules.tokens.identity(token)))
    if is_token(token):
        return _of_stored(context, rules, token)
    if rules.signed is not None and (grant := rules.signed.find(token)):
        return with_given_roles(context, _of_grant(rules, grant, rules.signed.identity(grant.primary_namespace)))
    return None


def owns_namespace(rules: AccessRules, account: AccountRecord) -> bool:
    """Whether the namespace of somebody's name is theirs: nobody had made it before they came, or whoever vouches for
    them gives them a role on all of it."""
    given = known_bindings(account.bindings, rules.roles)
    is_theirs = account.owns_namespace or any(binding.covers(Target(account.name)) for binding in given)
    return is_theirs and rules.has_own_namespace(account.name)


def account_actor(rules: AccessRules, account: AccountRecord) -> Actor | None:
    """Somebody with an account, as a login makes them; None for accounts of another provider, and for those who may
    not log in any more."""
    if account.provider != rules.provider or not rules.lets_in(account.name, account.groups):
        return None
    has_namespace = owns_namespace(rules, account)
    return Actor(
        account.name,
        account.name,
        rules.of_user(account.name, account.groups, account.bindings, owns_namespace=has_namespace),
        is_authenticated=True,
        groups=account.groups,
        identity=f"{tokens.USER}{account.name}",
        has_namespace=has_namespace,
    )


def _of_grant(rules: AccessRules, grant: Grant, identity: str) -> Actor:
    return Actor(
        grant.name or grant.primary_namespace,
        grant.primary_namespace,
        rules.with_everybody(grant.bindings),
        is_authenticated=True,
        expires=grant.expires,
        identity=identity,
    )


def _of_stored(context: Context, rules: AccessRules, token: str) -> Actor | None:
    now = datetime.now(UTC)
    with context.database.read() as connection:
        found = tokens.find(connection, digest(token))
    if found is None or (found.expires_on is not None and found.expires_on <= now):
        return None
    owner = _owner(rules, found)
    if owner is None:
        return None
    owner = with_given_roles(context, owner)
    if found.last_used_on is None or found.last_used_on <= now - _USE_IS_NOTED_EVERY:
        # a busy database is no reason to turn anybody away
        with suppress(Unavailable), context.database.write() as connection:
            tokens.note_use(connection, found.id, now, _USE_IS_NOTED_EVERY)
    limits = None if found.limits is None else rules.with_everybody(known_bindings(found.limits, rules.roles))
    return Actor(
        owner.name,
        found.primary_namespace,
        owner.bindings,
        is_authenticated=True,
        expires=found.expires_on,
        limits=limits,
        groups=owner.groups,
        identity=found.identity,
        token_id=found.id if found.kind is TokenKind.TOKEN else found.parent_id,
    )


def _owner(rules: AccessRules, token: TokenRecord) -> Actor | None:
    """Whose token it is, with what they have now."""
    if token.account is not None:
        return account_actor(rules, token.account)
    if token.identity.startswith(SIGNED):
        # who signed it decided; the limits say what
        namespace = rules.signed.namespace(token.identity) if rules.signed else None
        if namespace is None:
            return None
        return _of_grant(rules, Grant(namespace, known_bindings(token.limits or {}, rules.roles)), token.identity)
    grant = rules.tokens.of_identity(token.identity)
    return _of_grant(rules, grant, token.identity) if grant else None
