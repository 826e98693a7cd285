"""Sealed credentials, by namespace and host."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from conda_store.db.tables import credential
from conda_store.domain.credential import Credential, CredentialKind, CredentialNote

_ALL = ""  # the namespace of credentials that are usable in all


@dataclass(frozen=True)
class SealedCredential:
    """`version` changes with the secret and tells nothing of it."""

    namespace: str | None
    host: str
    kind: CredentialKind
    username: str
    sealed: bytes
    version: str


def put(connection: Connection, namespace: str | None, given: Credential, sealed: bytes, set_by: str) -> None:
    """Keep it in the place of what there was for the host."""
    remove(connection, namespace, given.host)
    connection.execute(
        insert(credential).values(
            namespace=namespace or _ALL,
            host=given.host,
            kind=given.kind.value,
            username=given.username,
            sealed=sealed,
            version=uuid.uuid4().hex,
            set_by=set_by,
            set_on=datetime.now(UTC),
        )
    )


def remove(connection: Connection, namespace: str | None, host: str) -> bool:
    """Whether there was one."""
    same = (credential.c.namespace == (namespace or _ALL), credential.c.host == host)
    return connection.execute(delete(credential).where(*same)).rowcount > 0


def forget(connection: Connection, namespace: str) -> None:
    """Drop all of a namespace."""
    connection.execute(delete(credential).where(credential.c.namespace == namespace))


def notes(connection: Connection, namespace: str | None) -> tuple[CredentialNote, ...]:
    """What is usable in a namespace, or in all of them: only that it is there."""
    query = select(credential).where(credential.c.namespace.in_({_ALL, namespace or _ALL}))
    return tuple(
        CredentialNote(row.host, row.namespace or None, CredentialKind(row.kind), row.set_by, row.set_on)
        for row in connection.execute(query.order_by(credential.c.host, credential.c.namespace))
    )


def usable(connection: Connection, namespace: str) -> tuple[SealedCredential, ...]:
    """For each host that of the namespace, else that of all."""
    query = select(credential).where(credential.c.namespace.in_({_ALL, namespace})).order_by(credential.c.namespace)
    return tuple({row.host: _sealed(row) for row in connection.execute(query)}.values())


def everything(connection: Connection) -> tuple[SealedCredential, ...]:
    return tuple(_sealed(row) for row in connection.execute(select(credential)))


def hosts(connection: Connection) -> frozenset[str]:
    """The hosts that somebody has credentials for."""
    return frozenset(connection.execute(select(credential.c.host)).scalars())


def replace_sealed(connection: Connection, given: Sequence[tuple[SealedCredential, bytes]]) -> None:
    for found, sealed in given:
        connection.execute(update(credential).where(credential.c.version == found.version).values(sealed=sealed))


def _sealed(row: Any) -> SealedCredential:
    return SealedCredential(
        row.namespace or None,
        row.host,
        CredentialKind(row.kind),
        row.username,
        row.sealed,
        row.version,
    )
