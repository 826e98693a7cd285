"""Logging in and out."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from conda_store.auth.opaque import digest, new_token
from conda_store.auth.providers.base import AuthenticationToken
from conda_store.auth.rules import AccessRules, as_mapping
from conda_store.auth.signed import SIGNED
from conda_store.db import namespaces, settings, tokens
from conda_store.db.engine import Connection
from conda_store.db.records import AccountRecord
from conda_store.domain.access import Actor, TokenKind
from conda_store.domain.audit import note
from conda_store.domain.names import name_problem
from conda_store.errors import Forbidden
from conda_store.services.access import with_given_roles
from conda_store.services.authentication import account_actor
from conda_store.services.context import Context

logger = structlog.get_logger()

# of logins with a token that does not end
_LONGEST = timedelta(days=14)
_SECRETS = "secret"


def log_in(context: Context, rules: AccessRules, person: AuthenticationToken) -> tuple[str, datetime]:
    """A session for somebody whom the provider vouches for: its token, and when it ends.

    They are remembered as they are now; the namespace of their name is made.

    Raises:
        Forbidden: their name cannot be that of a user, or they may not log in.
    """
    account = _account(rules, person)
    now = datetime.now(UTC)
    ends = min(now + rules.session_lifetime, _aware(person.exp) or now + rules.session_lifetime)
    token = new_token()
    note(account.name, "log-in")
    with context.database.write() as connection:
        _remember(connection, rules, account, now)
        identity = f"{tokens.USER}{account.name}"
        tokens.create(
            connection, digest(token), TokenKind.SESSION, "login", identity, account.name, now=now, expires_on=ends
        )
    logger.info("logged in", user=account.name, groups=account.groups)
    return token, ends


def log_in_with_token(context: Context, actor: Actor) -> tuple[str, datetime]:
    """A session of whoever brought a token: it ends with that token, at the latest."""
    now = datetime.now(UTC)
    ends = min(now + _LONGEST, actor.expires or now + _LONGEST)
    limits = actor.bindings if actor.identity.startswith(SIGNED) else actor.limits
    token = new_token()
    note(actor.name, "log-in", detail="with a token")
    with context.database.write() as connection:
        tokens.create(
            connection,
            digest(token),
            TokenKind.SESSION,
            "login with a token",
            actor.identity,
            actor.primary_namespace,
            now=now,
            expires_on=ends,
            limits=None if limits is None else as_mapping(limits),
            parent_id=actor.token_id,
        )
    logger.info("logged in with a token", identity=actor.identity)
    return token, ends


def log_out(context: Context, actor: Actor, token: str) -> None:
    """End the session; a token of another kind stays as it is: it may be in use elsewhere."""
    if actor.is_authenticated:
        note(actor.name, "log-out")
    with context.database.write() as connection:
        tokens.end_session(connection, digest(token))


def note_refused(name: str, why: str) -> None:
    """For the audit log: somebody who said to be `name` was not let in."""
    note(name or "anonymous", "log-in", is_allowed=False, detail=why)


def vouched_for(context: Context, rules: AccessRules, person: AuthenticationToken) -> Actor | None:
    """Somebody whom the provider knows by a token of its own, remembered so that they can have tokens of ours.

    Raises:
        Forbidden: their name cannot be that of a user, or they may not log in.
    """
    account = _account(rules, person)
    with context.database.read() as connection:
        known = tokens.find_account(connection, account.name)
    if known is None or known != account:
        with context.database.write() as connection:
            known = _remember(connection, rules, account, datetime.now(UTC))
    actor = account_actor(rules, known)
    return None if actor is None else with_given_roles(context, actor)


def signing_secret(context: Context) -> str:
    """The deployment's secret: made once, kept in the database, the same for all servers and after every start."""
    with context.database.read() as connection:
        found = settings.values(connection, _SECRETS).get("signing")
    if not found:
        with context.database.write() as connection:
            found = settings.values(connection, _SECRETS).get("signing")
            if not found:
                found = secrets.token_urlsafe(48)
                settings.set_values(connection, _SECRETS, {"signing": found})
    return str(found)


def _account(rules: AccessRules, person: AuthenticationToken) -> AccountRecord:
    if problem := name_problem(person.primary_namespace):
        note_refused(person.primary_namespace, "the name cannot be that of a user")
        raise Forbidden(f"the user {problem}", hint="A user has a namespace of their name; ask the administrator.")
    if not rules.lets_in(person.primary_namespace, person.groups):
        note_refused(person.primary_namespace, "neither an allowed user nor of an allowed group")
        raise Forbidden(
            f"user {person.primary_namespace} may not log in here",
            hint="Ask the administrator: c.RBACAuthorizationBackend.allowed_users, allowed_groups.",
        )
    bindings = {entity: sorted(str(role) for role in roles) for entity, roles in person.role_bindings.items()}
    return AccountRecord(person.primary_namespace, rules.provider, tuple(person.groups), bindings)


def _remember(connection: Connection, rules: AccessRules, account: AccountRecord, now: datetime) -> AccountRecord:
    """Them as they are now, with the namespace of their name: theirs unless somebody had made it before they came, as
    people may call themselves like a team."""
    known = tokens.find_account(connection, account.name)
    is_free = namespaces.find(connection, account.name) is None
    kept = replace(account, owns_namespace=is_free if known is None else known.owns_namespace)
    tokens.set_account(connection, kept, now)
    if kept.owns_namespace and is_free and rules.has_own_namespace(account.name):
        namespaces.create(connection, account.name)
    return kept


def _aware(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value
