"""Namespaces: listed, made, described, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from conda_store.db import credentials, namespaces, settings
from conda_store.db.paging import Page, PageRequest
from conda_store.db.records import NamespaceRecord, NamespaceUsage
from conda_store.domain.access import Actor, Target
from conda_store.domain.names import parse_name
from conda_store.domain.roles import Permission
from conda_store.errors import Conflict
from conda_store.services.context import Context


def list_namespaces(context: Context, actor: Actor, request: PageRequest) -> Page[NamespaceRecord]:
    with context.database.read() as connection:
        return namespaces.list_readable(connection, actor, request)


def get_namespace(context: Context, actor: Actor, name: str) -> NamespaceRecord:
    actor.require(Permission.NAMESPACE_READ, Target(name))
    with context.database.read() as connection:
        return namespaces.get(connection, name)


def create_namespace(context: Context, actor: Actor, name: str) -> NamespaceRecord:
    parse_name(name, "namespace")
    # naming something new is not seeing it: always 403, whether or not it exists
    actor.require(Permission.NAMESPACE_CREATE, Target(name), is_new=True)
    with context.database.write() as connection:
        if namespaces.find(connection, name):
            raise Conflict("namespace already exists")
        return namespaces.create(connection, name)


def set_namespace_metadata(context: Context, actor: Actor, name: str, metadata: Mapping[str, Any]) -> None:
    actor.require(Permission.NAMESPACE_UPDATE, Target(name))
    with context.database.write() as connection:
        namespaces.set_metadata(connection, namespaces.get(connection, name).id, metadata)


def delete_namespace(context: Context, actor: Actor, name: str) -> None:
    """Everything in it goes: environments, builds, artifacts. A worker removes the files."""
    actor.require(Permission.NAMESPACE_DELETE, Target(name))
    with context.database.write() as connection:
        namespaces.mark_deleted(connection, namespaces.get(connection, name).id, datetime.now(UTC))
        settings.forget(connection, name)
        credentials.forget(connection, name)


def usage(context: Context, actor: Actor) -> tuple[NamespaceUsage, ...]:
    """What the namespaces that the actor sees hold."""
    with context.database.read() as connection:
        return namespaces.usage(connection, actor)
