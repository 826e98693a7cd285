"""Reading and changing settings."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from conda_store.db import settings as stored
from conda_store.db.engine import Database
from conda_store.domain.access import Actor, Target
from conda_store.domain.audit import about
from conda_store.domain.deployment import Deployment
from conda_store.domain.names import parse_name
from conda_store.domain.policy import POLICIES
from conda_store.domain.roles import Permission
from conda_store.domain.settings import DEPLOYMENT_DECIDES, InForce, Settings, checked_names, checked_settings, in_force
from conda_store.domain.specification import Specification
from conda_store.errors import Forbidden, InvalidInput
from conda_store.services.context import Context


def effective_settings(
    database: Database, deployment: Deployment, namespace: str | None = None, environment: str | None = None
) -> Settings:
    """The deployment's settings with what was set globally, for the namespace and for the environment over them."""
    return rules_in_force(database, deployment, namespace, environment).settings


def rules_in_force(
    database: Database, deployment: Deployment, namespace: str | None = None, environment: str | None = None
) -> InForce:
    """The effective settings, and which layer decides each."""
    with database.read() as connection:
        return in_force(deployment.settings, *stored.layers(connection, namespace, environment))


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
    unset: Collection[str] = (),
) -> tuple[str, ...]:
    """Set some settings at one level, and drop those of `unset` there; returns the names of both.

    Where a setting is dropped the level above counts.

    Raises:
        Forbidden: also for a policy of the deployment, unless the actor may change the deployment's settings.
        InvalidInput: a setting that does not exist, cannot have this value, or is both set and dropped.
    """
    actor.require(Permission.SETTING_UPDATE, Target(namespace, environment))
    decided = sorted({*values, *unset} & DEPLOYMENT_DECIDES)
    if decided and not actor.may(Permission.SETTING_UPDATE, Target()):
        raise Forbidden(hint=f"Only admins of the whole deployment change {', '.join(decided)}.")
    for what, name in (("namespace", namespace), ("environment", environment)):
        if name is not None:
            parse_name(name, what)
    checked = checked_settings(values, is_global=namespace is None, is_of_environment=environment is not None)
    _check_grammar(context, checked)
    dropped = checked_names(unset)
    if both := sorted(set(checked) & set(dropped)):
        raise InvalidInput(f"setting {both[0]} is both set and unset", hint="Name it once.")
    changes = [f"{key}={json.dumps(value)}" for key, value in checked.items()]
    about(", ".join([*changes, *(f"{key} unset" for key in dropped)]))
    with context.database.write() as connection:
        stored.set_layer(connection, checked, namespace, environment)
        if dropped:
            stored.unset(connection, dropped, namespace, environment)
    return (*checked, *dropped)


def _check_grammar(context: Context, values: Mapping[str, Any]) -> None:
    """Packages in policies are match specs and requirements."""
    for key in POLICIES:
        if not key.endswith("_packages") or key not in values:
            continue
        texts = tuple(values[key])
        wanted = Specification("policy", pip=texts) if key.startswith("pypi_") else Specification("policy", (), texts)
        if problems := context.builder.problems(wanted):
            raise InvalidInput(f"setting {key}: {problems[0].message}")


@dataclass(frozen=True)
class Policy:
    """A rule on what environments may be: its setting, the value in force, and the layer that sets it."""

    setting: str
    value: Any
    layer: str


def policies(context: Context, actor: Actor, namespace: str, environment: str | None = None) -> tuple[Policy, ...]:
    """What applies to environments there: to be looked at before a build is submitted.

    Raises:
        NotFound: the actor may neither see them nor make any.
    """
    if not actor.may(Permission.ENVIRONMENT_CREATE, Target(namespace, environment)):
        seen = Permission.NAMESPACE_READ if environment is None else Permission.ENVIRONMENT_READ
        actor.require(seen, Target(namespace, environment))
    rules = rules_in_force(context.database, context.deployment, namespace, environment)
    model = rules.settings.model()
    return tuple(Policy(name, model[name], rules.layer(name)) for name in POLICIES)
