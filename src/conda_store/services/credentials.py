"""Credentials of channels and package indexes: set, seen to be there, removed, and handed to the builder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from conda_store.db import credentials
from conda_store.domain.access import Actor, Target
from conda_store.domain.audit import about
from conda_store.domain.credential import NO_CREDENTIALS, Credential, CredentialNote, Credentials, checked_credential
from conda_store.domain.names import parse_name
from conda_store.domain.roles import Permission
from conda_store.errors import NotFound
from conda_store.services.context import Context


def set_credential(context: Context, actor: Actor, values: Mapping[str, Any], namespace: str | None = None) -> str:
    """Keep a credential (`host`, `kind`, `username`, `secret`) for the builds of a namespace, None: of all. It is never
    given out again. Returns the host.

    Raises:
        InvalidInput: it cannot be one.
        ConfigurationError: there is no key to seal it with.
    """
    actor.require(Permission.SETTING_UPDATE, Target(namespace))
    if namespace is not None:
        parse_name(namespace, "namespace")
    given = checked_credential(values)
    about(f"credential for {given.host} set")
    sealed = context.sealer.seal(given.secret, _about(namespace, given.host))
    with context.database.write() as connection:
        credentials.put(connection, namespace, given, sealed, actor.name)
    return given.host


def list_credentials(context: Context, actor: Actor, namespace: str | None = None) -> tuple[CredentialNote, ...]:
    """Which credentials builds of a namespace use, those for all namespaces included."""
    actor.require(Permission.SETTING_READ, Target(namespace))
    with context.database.read() as connection:
        return credentials.notes(connection, namespace)


def delete_credential(context: Context, actor: Actor, host: str, namespace: str | None = None) -> None:
    actor.require(Permission.SETTING_UPDATE, Target(namespace))
    about(f"credential for {host.lower()} removed")
    with context.database.write() as connection:
        if not credentials.remove(connection, namespace, host.lower()):
            raise NotFound("there is no credential for this host")


def seal_anew(context: Context, actor: Actor) -> int:
    """Seal every credential with the first of the keys, so that the others can be dropped; how many there were."""
    actor.require(Permission.SETTING_UPDATE, Target())
    with context.database.write() as connection:
        found = credentials.everything(connection)
        credentials.replace_sealed(connection, [(item, context.sealer.sealed_anew(item.sealed)) for item in found])
    return len(found)


def usable_credentials(context: Context, namespace: str) -> Credentials:
    """What the builder may use for a namespace: for services that have checked the permission.

    Raises:
        ConfigurationError: the keys do not open them.
    """
    with context.database.read() as connection:
        found = credentials.usable(connection, namespace)
    if not found:
        return NO_CREDENTIALS
    entries = tuple(
        Credential(
            item.host, item.kind, context.sealer.open(item.sealed, _about(item.namespace, item.host)), item.username
        )
        for item in found
    )
    versions = ",".join(sorted(item.version for item in found))
    return Credentials(entries, hashlib.sha256(versions.encode()).hexdigest()[:32])


def guarded_hosts(context: Context) -> frozenset[str]:
    """Hosts that some namespace has credentials for: what was fetched from them is not for everybody."""
    with context.database.read() as connection:
        return credentials.hosts(connection)


def _about(namespace: str | None, host: str) -> str:
    return f"{host} in namespace {namespace}" if namespace else f"{host} in all namespaces"
