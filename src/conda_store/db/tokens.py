"""Accounts, and the tokens and sessions that stand for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, insert, or_, select, update

from conda_store.db.paging import Page, PageRequest, fetch_page
from conda_store.db.records import AccountRecord, TokenRecord
from conda_store.db.tables import account, token
from conda_store.domain.access import TokenKind

# `user:alice` is the identity of the account `alice`
USER = "user:"


def _account(row: Any, name: str) -> AccountRecord:
    return AccountRecord(name, row.provider, tuple(row.groups), row.bindings, row.owns_namespace)


def _record(row: Any) -> TokenRecord:
    found = None
    if getattr(row, "account_name", None) is not None:
        found = _account(row, row.account_name)
    return TokenRecord(
        row.id,
        row.kind,
        row.name,
        row.identity,
        row.primary_namespace,
        row.limits,
        row.parent_id,
        row.created_on,
        row.expires_on,
        row.last_used_on,
        found,
    )


# many requests ask this: putting it together each time would take as long as its answer
_FIND = (
    select(
        token,
        account.c.name.label("account_name"),
        account.c.provider,
        account.c.groups,
        account.c.bindings,
        account.c.owns_namespace,
    )
    .join_from(token, account, token.c.identity == USER + account.c.name, isouter=True)
    .where(token.c.digest == bindparam("wanted"))
)


def find(connection: Connection, digest: str) -> TokenRecord | None:
    """The token with its account, whether or not it has expired."""
    row = connection.execute(_FIND, {"wanted": digest}).one_or_none()
    return _record(row) if row else None


def find_account(connection: Connection, name: str) -> AccountRecord | None:
    row = connection.execute(select(account).where(account.c.name == name)).one_or_none()
    return _account(row, row.name) if row else None


def accounts(connection: Connection) -> tuple[AccountRecord, ...]:
    rows = connection.execute(select(account).order_by(account.c.name))
    return tuple(_account(row, row.name) for row in rows)


def note_use(connection: Connection, token_id: int, now: datetime, every: timedelta) -> None:
    """Set the time of the last use, unless that was done less than `every` ago."""
    is_due = or_(token.c.last_used_on.is_(None), token.c.last_used_on <= now - every)
    connection.execute(update(token).where(token.c.id == token_id, is_due).values(last_used_on=now))


def create(
    connection: Connection,
    digest: str,
    kind: TokenKind,
    name: str,
    identity: str,
    primary_namespace: str,
    *,
    now: datetime,
    expires_on: datetime | None,
    limits: Mapping[str, Sequence[str]] | None = None,
    parent_id: int | None = None,
) -> int:
    """The id of a new token. Those that have expired are dropped on this occasion."""
    connection.execute(delete(token).where(token.c.expires_on <= now))
    made: int = connection.execute(
        insert(token)
        .values(
            digest=digest,
            kind=kind,
            name=name,
            identity=identity,
            primary_namespace=primary_namespace,
            limits=limits,
            parent_id=parent_id,
            created_on=now,
            expires_on=expires_on,
        )
        .returning(token.c.id)
    ).scalar_one()
    return made


def list_of(
    connection: Connection, request: PageRequest, now: datetime, *, identity: str | None, below: int | None
) -> Page[TokenRecord]:
    """Valid tokens and sessions; of `identity`, and of the token `below` and those made with it, where given."""
    query = select(token).where(or_(token.c.expires_on.is_(None), token.c.expires_on > now), _owned(identity, below))
    columns = {name: [token.c[name]] for name in ("id", "name", "identity", "created_on", "expires_on", "last_used_on")}
    return fetch_page(connection, _record, query, request, columns, ["id"], tie=token.c.id)


def remove(connection: Connection, token_id: int, *, identity: str | None, below: int | None) -> bool:
    """Drop a token and those made with it; whether there was one."""
    return bool(connection.execute(delete(token).where(token.c.id == token_id, _owned(identity, below))).rowcount)


def remove_all(connection: Connection, identity: str, *, below: int | None) -> int:
    """How many there were."""
    return connection.execute(delete(token).where(_owned(identity, below))).rowcount


def end_session(connection: Connection, digest: str) -> None:
    connection.execute(delete(token).where(token.c.digest == digest, token.c.kind == TokenKind.SESSION))


def _owned(identity: str | None, below: int | None) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [] if identity is None else [token.c.identity == identity]
    if below is not None:
        conditions.append(or_(token.c.id == below, token.c.parent_id == below))
    return and_(True, *conditions)


def set_account(connection: Connection, record: AccountRecord, now: datetime) -> None:
    values = {
        "provider": record.provider,
        "groups": list(record.groups),
        "bindings": {entity: list(roles) for entity, roles in record.bindings.items()},
        "last_login_on": now,
        "owns_namespace": record.owns_namespace,
    }
    if connection.execute(update(account).where(account.c.name == record.name).values(values)).rowcount == 0:
        connection.execute(insert(account).values(name=record.name, **values))
