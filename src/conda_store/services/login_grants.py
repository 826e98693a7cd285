"""Logging in a program on somebody's behalf: `conda-store login`.

In a browser on the same machine: an authorization code with PKCE (RFC 7636) sent to a loopback port (RFC 8252).
Elsewhere: a code that is shown by the program and confirmed on a page (RFC 8628).
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import structlog

from conda_store.auth.opaque import digest, new_token
from conda_store.auth.rules import AccessRules
from conda_store.auth.signed import SIGNED
from conda_store.db import login_grants, tokens
from conda_store.db.login_grants import GrantRecord
from conda_store.domain.access import Actor, TokenKind
from conda_store.domain.audit import note
from conda_store.domain.pkce import challenge_of
from conda_store.errors import Forbidden, InvalidInput, NotAuthenticated, NotFound, TooManyRequests
from conda_store.services.context import Context
from conda_store.services.tokens import told

logger = structlog.get_logger()

CODE_LASTS = timedelta(minutes=2)
DEVICE_LASTS = timedelta(minutes=10)
# no vowels, so that no words arise, and nothing that looks like something else (RFC 8628, 6.1): 34 bits
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_MOST_WAITING = 1000
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Device:
    """`device_code` is for the program, `user_code` for its owner's eyes."""

    device_code: str
    user_code: str


def may_confirm(actor: Actor) -> bool:
    """Whether they have logged in as themselves: not with a token, which may be narrower or end sooner."""
    is_person = actor.limits is None and actor.token_id is None and not actor.identity.startswith(SIGNED)
    return actor.is_authenticated and is_person


def require_confirming(actor: Actor) -> None:
    """
    Raises:
        NotAuthenticated: nobody is logged in.
        Forbidden: the login is one with a narrower or passing right, which must not become a lasting one.
    """
    if not actor.is_authenticated:
        raise NotAuthenticated
    if not may_confirm(actor):
        raise Forbidden(
            "a program cannot be logged in by somebody who is here with a token",
            hint="Log in yourself, or hand the program that token: `conda-store login --token`.",
        )


def is_own_machine(redirect_uri: str) -> bool:
    """Whether a code may be sent there: a port of the machine on which the browser runs, and nowhere else."""
    try:
        parts = urlsplit(redirect_uri)
        return (
            parts.scheme == "http"
            and parts.hostname in {"127.0.0.1", "::1", "localhost"}
            and parts.port is not None
            and parts.username is None
            and not parts.fragment
            and not parts.query
            and redirect_uri.isascii()
            and redirect_uri.isprintable()
        )
    except ValueError:
        return False


def grant_code(context: Context, actor: Actor, redirect_uri: str, challenge: str, name: str) -> str:
    """A code that the program turns into a token, once and within minutes."""
    require_confirming(actor)
    if not is_own_machine(redirect_uri) or not 43 <= len(challenge) <= 64:
        raise InvalidInput("the request of the program cannot be read", hint="Start `conda-store login` again.")
    code, now = secrets.token_urlsafe(32), datetime.now(UTC)
    record = GrantRecord(
        name[:_LONGEST_NAME], challenge, redirect_uri, actor.identity, actor.primary_namespace, False, now + CODE_LASTS
    )
    note(actor.name, "program::allow", detail=record.name)
    with context.database.write() as connection:
        login_grants.create(connection, digest(code), record, now=now)
    return code


def redeem_code(context: Context, rules: AccessRules, code: str, verifier: str, redirect_uri: str) -> str:
    """The token for a code. The code is spent, whatever comes of it.

    Raises:
        InvalidInput: it is not valid, or another program's.
    """
    now = datetime.now(UTC)
    with context.database.write() as connection:
        record = login_grants.find(connection, digest(code), now)
        is_first = login_grants.remove(connection, digest(code))
    is_right = (
        record is not None
        and is_first
        and record.challenge is not None
        and hmac.compare_digest(record.challenge, challenge_of(verifier))
        and record.redirect_uri == redirect_uri
    )
    if record is None or not is_right:
        raise InvalidInput("invalid_grant", hint="The code is wrong, was used, or is too old: start again.")
    return _token(context, rules, record, now)


def ask_for_device(context: Context, name: str) -> Device:
    """A login that waits for somebody to confirm its code on a page.

    Raises:
        TooManyRequests: too many are waiting.
    """
    now = datetime.now(UTC)
    letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
    device = Device(secrets.token_urlsafe(32), f"{letters[:4]}-{letters[4:]}")
    record = GrantRecord(name[:_LONGEST_NAME], None, None, None, None, False, now + DEVICE_LASTS)
    with context.database.write() as connection:
        if login_grants.count_waiting(connection, now) >= _MOST_WAITING:
            raise TooManyRequests("too many logins wait to be confirmed", hint="Try again in some minutes.")
        login_grants.create(connection, digest(device.device_code), record, now=now, user_code=device.user_code)
    return device


def find_device(context: Context, actor: Actor, user_code: str) -> str:
    """The name of the program that shows this code.

    Raises:
        NotFound: none does, or it has been answered.
    """
    require_confirming(actor)
    with context.database.read() as connection:
        record = login_grants.find_by_user_code(connection, parsed_user_code(user_code), datetime.now(UTC))
    if record is None:
        raise NotFound("there is no login with this code", hint="It may be mistyped or too old.")
    return record.name


def answer_device(context: Context, actor: Actor, user_code: str, *, is_allowed: bool) -> None:
    """
    Raises:
        NotFound: no login shows this code, or it has been answered.
    """
    require_confirming(actor)
    known = parsed_user_code(user_code)
    with context.database.write() as connection:
        record = login_grants.find_by_user_code(connection, known, datetime.now(UTC))
        if record is None:
            raise NotFound("there is no login with this code", hint="It may be mistyped or too old.")
        note(actor.name, "program::allow" if is_allowed else "program::deny", detail=record.name)
        login_grants.answer(connection, known, actor.identity if is_allowed else None, actor.primary_namespace)


def redeem_device(context: Context, rules: AccessRules, device_code: str) -> str | None:
    """The token for a login that has been confirmed, None while nobody has answered.

    Raises:
        InvalidInput: it was denied, or there is none.
    """
    now = datetime.now(UTC)
    with context.database.write() as connection:
        record = login_grants.find(connection, digest(device_code), now)
        if record is not None and record.identity is None and not record.is_denied:
            return None
        if record is not None:
            login_grants.remove(connection, digest(device_code))
    if record is None:
        raise InvalidInput("expired_token", hint="The code is too old: start again.")
    if record.is_denied:
        raise InvalidInput("access_denied", hint="Somebody has denied it.")
    return _token(context, rules, record, now)


def parsed_user_code(text: str) -> str:
    """As it is kept, however it was typed."""
    letters = "".join(character for character in text.upper() if character in _LETTERS)
    return f"{letters[:4]}-{letters[4:]}"


def _token(context: Context, rules: AccessRules, record: GrantRecord, now: datetime) -> str:
    token = new_token()
    expires = now + rules.token_lifetime
    with context.database.write() as connection:
        token_id = tokens.create(
            connection,
            digest(token),
            TokenKind.TOKEN,
            record.name,
            record.identity or "",
            record.primary_namespace or "",
            now=now,
            expires_on=expires,
        )
        name = (record.identity or "").removeprefix(tokens.USER)
        note(name, "token::create", detail=told(token_id, record.name, expires))
    logger.info("logged in a program", identity=record.identity, program=record.name)
    return token
