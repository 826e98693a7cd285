"""Logins of programs that wait: for somebody to confirm them, or for being fetched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from conda_store.db.tables import login_grant


@dataclass(frozen=True)
class GrantRecord:
    """`identity` is who has confirmed it, None while nobody has."""

    name: str
    challenge: str | None
    redirect_uri: str | None
    identity: str | None
    primary_namespace: str | None
    is_denied: bool
    expires_on: datetime


def create(
    connection: Connection, digest: str, record: GrantRecord, *, now: datetime, user_code: str | None = None
) -> None:
    """Those that have expired are dropped on this occasion."""
    connection.execute(delete(login_grant).where(login_grant.c.expires_on <= now))
    connection.execute(
        insert(login_grant).values(
            digest=digest,
            user_code=user_code,
            name=record.name,
            challenge=record.challenge,
            redirect_uri=record.redirect_uri,
            identity=record.identity,
            primary_namespace=record.primary_namespace,
            is_denied=record.is_denied,
            expires_on=record.expires_on,
        )
    )


def count_waiting(connection: Connection, now: datetime) -> int:
    """How many nobody has confirmed yet."""
    query = select(func.count()).where(login_grant.c.identity.is_(None), login_grant.c.expires_on > now)
    return int(connection.execute(query).scalar_one())


def find(connection: Connection, digest: str, now: datetime) -> GrantRecord | None:
    return _one(connection, login_grant.c.digest == digest, now)


def find_by_user_code(connection: Connection, user_code: str, now: datetime) -> GrantRecord | None:
    """One that still waits for somebody to confirm it."""
    is_open = login_grant.c.identity.is_(None) & ~login_grant.c.is_denied
    return _one(connection, (login_grant.c.user_code == user_code) & is_open, now)


def answer(connection: Connection, user_code: str, identity: str | None, primary_namespace: str) -> None:
    """`identity` confirms it; None denies."""
    connection.execute(
        update(login_grant)
        .where(login_grant.c.user_code == user_code)
        .values(identity=identity, primary_namespace=primary_namespace, is_denied=identity is None)
    )


def remove(connection: Connection, digest: str) -> bool:
    """Whether there was one: who removes it may use it, once."""
    return bool(connection.execute(delete(login_grant).where(login_grant.c.digest == digest)).rowcount)


def forget(connection: Connection, identity: str) -> None:
    """Those that somebody has confirmed and nobody has fetched."""
    connection.execute(delete(login_grant).where(login_grant.c.identity == identity))


def _one(connection: Connection, condition: ColumnElement[bool], now: datetime) -> GrantRecord | None:
    query = select(login_grant).where(condition, login_grant.c.expires_on > now)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return GrantRecord(
        row.name, row.challenge, row.redirect_uri, row.identity, row.primary_namespace, row.is_denied, row.expires_on
    )
