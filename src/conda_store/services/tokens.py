"""Making, listing and revoking tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from conda_store.auth.opaque import digest, new_token
from conda_store.auth.rules import as_mapping
from conda_store.auth.signed import SIGNED
from conda_store.db import login_grants, tokens
from conda_store.db.paging import Page, PageRequest
from conda_store.db.records import TokenRecord
from conda_store.domain.access import Actor, RoleBinding, Target, TokenKind, parse_binding
from conda_store.domain.audit import note
from conda_store.domain.names import parse_name
from conda_store.domain.roles import Permission, Roles
from conda_store.errors import InvalidInput, NotAuthenticated, NotFound
from conda_store.services.context import Context

_LONGEST_NAME = 200
# each request looks at all of them
MOST_BINDINGS = 200


@dataclass(frozen=True)
class TokenRequest:
    """What is left out is as for the caller. `expires` is aware."""

    name: str = ""
    primary_namespace: str | None = None
    role_bindings: Mapping[str, Sequence[str]] | None = None
    expires: datetime | None = None


def create_token(
    context: Context, actor: Actor, request: TokenRequest, *, outlives_login: timedelta | None = None
) -> str:
    """A new token; it gives no more than the caller has and does not live longer.

    `outlives_login`: the caller has confirmed on a page of ours that it may live so long, whatever their login does.

    Raises:
        NotAuthenticated: nobody is logged in.
        InvalidInput: a name or binding is none, or more is asked for than the caller has.
    """
    if not actor.is_authenticated:
        raise NotAuthenticated(hint="Log in, or bring a token: then another one can be made with it.")
    namespace = parse_name(request.primary_namespace or actor.primary_namespace, "primary namespace")
    asked = _bindings(request.role_bindings or {}, context.deployment.roles)
    if len(asked) > MOST_BINDINGS:
        raise InvalidInput(
            f"a token cannot be narrowed to {len(asked)} bindings",
            hint=f"Name {MOST_BINDINGS} at most; `*` joins several.",
        )
    if not all(actor.may_grant(binding) for binding in asked):
        raise InvalidInput("Requested role_bindings are not a subset of current permissions")
    token, now = new_token(), datetime.now(UTC)
    expires = _expiration(actor, request.expires, now, outlives_login)
    # who names entities without a role wants none there, not all that they have
    limits = asked if request.role_bindings else actor.limits
    if limits is None and actor.identity.startswith(SIGNED):
        limits = actor.bindings
    with context.database.write() as connection:
        token_id = tokens.create(
            connection,
            digest(token),
            TokenKind.TOKEN,
            request.name.strip()[:_LONGEST_NAME],
            actor.identity,
            namespace,
            now=now,
            expires_on=expires,
            limits=None if limits is None else as_mapping(limits),
            parent_id=actor.token_id,
        )
        note(actor.name, "token::create", detail=told(token_id, request.name.strip()[:_LONGEST_NAME], expires, limits))
    return token


def told(token_id: int, name: str, expires: datetime | None, limits: Iterable[RoleBinding] | None = None) -> str:
    """What the audit log says of a new token: enough to know later what was revoked, or has expired."""
    rights = "" if limits is None else ", ".join(f"{binding.role} on {binding.entity}" for binding in limits)
    until = "" if expires is None else f"until {expires:%Y-%m-%d %H:%M}"
    return ", ".join(part for part in (f"token {token_id}", name, until, rights) if part)


def list_tokens(
    context: Context, actor: Actor, request: PageRequest, *, everybody: bool = False, user: str = ""
) -> Page[TokenRecord]:
    """One's own tokens and sessions, those of everybody, or of one `user` of them. A narrowed token sees itself and
    those made with it."""
    identity, below = _reach(actor, everybody=everybody)
    if everybody and user:
        identity = f"{tokens.USER}{user}"
    with context.database.read() as connection:
        return tokens.list_of(connection, request, datetime.now(UTC), identity=identity, below=below)


def revoke_token(context: Context, actor: Actor, token_id: int) -> None:
    """End a token or session of one's own, of anybody's for admins of everything.

    Raises:
        NotFound: there is none, or it is another's.
    """
    identity, below = _reach(actor, everybody=_is_admin(actor))
    note(actor.name, "token::revoke", detail=f"token {token_id}")
    with context.database.write() as connection:
        if not tokens.remove(connection, token_id, identity=identity, below=below):
            raise NotFound("token does not exist", hint="It may have expired or been revoked already.")


def end_everything_of(context: Context, actor: Actor, user: str) -> int:
    """End all logins and tokens of a user, one's own or, for admins of everything, anybody's; how many there were.

    What the provider or the configuration lets them do then is not touched: they may log in again.

    Raises:
        NotFound: the user has none.
    """
    identity = f"{tokens.USER}{user}"
    _, below = _reach(actor, everybody=identity != actor.identity)
    note(actor.name, "token::revoke", detail=f"all of user {user}"[:_LONGEST_NAME])
    with context.database.write() as connection:
        ended = tokens.remove_all(connection, identity, below=below)
        login_grants.forget(connection, identity)
        if not ended:
            raise NotFound(f"user {user[:80]} has neither tokens nor logins")
    return ended


def _reach(actor: Actor, *, everybody: bool) -> tuple[str | None, int | None]:
    if not actor.is_authenticated:
        raise NotAuthenticated
    if everybody:
        actor.require(Permission.NAMESPACE_ROLE_MAPPING_UPDATE, Target())
        return None, None
    return actor.identity, actor.token_id if actor.limits is not None else None


def _is_admin(actor: Actor) -> bool:
    return actor.may(Permission.NAMESPACE_ROLE_MAPPING_UPDATE, Target())


def _bindings(given: Mapping[str, Sequence[str]], roles: Roles) -> tuple[RoleBinding, ...]:
    return tuple(parse_binding(entity, role, roles) for entity, names in given.items() for role in names)


def _expiration(
    actor: Actor, asked: datetime | None, now: datetime, outlives_login: timedelta | None
) -> datetime | None:
    longest = actor.expires if outlives_login is None else now + outlives_login
    if asked is None:
        return longest
    if asked <= now:
        raise InvalidInput(f"the expiration {asked.isoformat()} is over already", hint="Name a time to come, in UTC.")
    if longest is not None and asked > longest:
        raise InvalidInput(
            "Requested expiration of token is greater than current permissions",
            hint=f"The latest time is {longest.isoformat()}.",
        )
    return asked
