"""Reading and changing settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conda_store.db import settings as stored
from conda_store.db.engine import Database
from conda_store.domain.access import Actor, Permission, Target
from conda_store.domain.deployment import Deployment
from conda_store.domain.names import parse_name
from conda_store.domain.settings import Settings, checked_settings, layered_settings
from conda_store.services.context import Context


def effective_settings(
    database: Database, deployment: Deployment, namespace: str | None = None, environment: str | None = None
) -> Settings:
    """The deployment's settings with what was set globally, for the namespace and for the environment over them."""
    levels: list[tuple[str | None, str | None]] = [(None, None)]
    if namespace is not None:
        levels.append((namespace, None))
        if environment is not None:
            levels.append((namespace, environment))
    with database.read() as connection:
        layers = [stored.layer(connection, *level) for level in levels]
    return layered_settings(deployment.settings, *layers)


def get_settings(
    context: Context, actor: Actor, namespace: str | None = None, environment: str | None = None
) -> Settings:
    actor.require(Permission.SETTING_READ, Target(namespace, environment))
    return effective_settings(context.database, context.deployment, namespace, environment)


def update_settings(
    context: Context,
    actor: Actor,
    values: Mapping[str, Any],
    namespace: str | None = None,
    environment: str | None = None,
) -> tuple[str, ...]:
    """Set some settings at one level; returns their names."""
    actor.require(Permission.SETTING_UPDATE, Target(namespace, environment))
    for what, name in (("namespace", namespace), ("environment", environment)):
        if name is not None:
            parse_name(name, what)
    checked = checked_settings(values, is_global=namespace is None)
    with context.database.write() as connection:
        stored.set_layer(connection, checked, namespace, environment)
    return tuple(checked)
