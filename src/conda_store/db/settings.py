"""Layers of settings, and other values by prefix and key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from conda_store.db.tables import keyvaluestore


def prefix_of(namespace: str | None, environment: str | None) -> str:
    return "/".join(["setting", *(part for part in (namespace, environment) if part is not None)])


def layer(connection: Connection, namespace: str | None = None, environment: str | None = None) -> dict[str, Any]:
    """What was set at this very level."""
    return values(connection, prefix_of(namespace, environment))


def layers(
    connection: Connection, namespace: str | None = None, environment: str | None = None
) -> tuple[tuple[str, dict[str, Any]], ...]:
    """What was set at each level that applies there, with the level's name; the most particular last."""
    found = [("all namespaces", layer(connection))]
    if namespace is not None:
        found.append((f"namespace {namespace}", layer(connection, namespace)))
        if environment is not None:
            found.append((f"environment {namespace}/{environment}", layer(connection, namespace, environment)))
    return tuple(found)


def set_layer(
    connection: Connection, given: Mapping[str, Any], namespace: str | None = None, environment: str | None = None
) -> None:
    """Set these keys at this level; others stay."""
    set_values(connection, prefix_of(namespace, environment), given)


def unset(
    connection: Connection, keys: Collection[str], namespace: str | None = None, environment: str | None = None
) -> None:
    """Drop these keys at this level, so that the level above counts."""
    here = keyvaluestore.c.prefix == prefix_of(namespace, environment)
    connection.execute(delete(keyvaluestore).where(here, keyvaluestore.c.key.in_(keys)))


def values(connection: Connection, prefix: str) -> dict[str, Any]:
    query = select(keyvaluestore.c.key, keyvaluestore.c.value).where(keyvaluestore.c.prefix == prefix)
    return {row.key: row.value for row in connection.execute(query)}


def set_values(connection: Connection, prefix: str, given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        same = (keyvaluestore.c.prefix == prefix, keyvaluestore.c.key == key)
        if connection.execute(update(keyvaluestore).where(*same).values(value=value)).rowcount == 0:
            connection.execute(insert(keyvaluestore).values(prefix=prefix, key=key, value=value))


def forget(connection: Connection, namespace: str, environment: str | None = None) -> None:
    """Drop what was set at this level and below: the name is free, and whoever takes it next begins anew."""
    prefix = prefix_of(namespace, environment)
    below = keyvaluestore.c.prefix.startswith(f"{prefix}/", autoescape=True)
    connection.execute(delete(keyvaluestore).where(or_(keyvaluestore.c.prefix == prefix, below)))
