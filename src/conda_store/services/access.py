"""The roles that somebody has been given while the service runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from conda_store.db import roles
from conda_store.domain.access import Actor, Origin, RoleBinding, Source, Way
from conda_store.domain.deployment import Deployment
from conda_store.domain.roles import Permission
from conda_store.errors import Forbidden
from conda_store.services.context import Context


def source_of(way: Way) -> Source:
    return Source.SHARE if way is Way.SHARE else Source.ROLE_MAPPING


def ways_in_force(deployment: Deployment) -> tuple[Way, ...]:
    """Which of the roles that are kept count: shares, and the role mappings of one version."""
    return (Way.MAPPING if deployment.role_mappings_version == 1 else Way.MAPPING_V2, Way.SHARE)


def with_given_roles(context: Context, actor: Actor) -> Actor:
    """The actor with what they have been given as a user, by their groups and by their namespace.

    Where a role mapping speaks of the same `namespace/environment` as a binding that the actor has already, the mapping
    holds; what is shared comes in addition.
    """
    if not actor.holders:
        return actor
    deployment = context.deployment
    with context.database.read() as connection:
        held = roles.held_by(connection, actor.holders, ways_in_force(deployment))
    if not held:
        return actor
    given = [
        (way, RoleBinding(namespace, environment, role, Origin(source_of(way), str(holder))))
        for way, holder, namespace, environment, name in held
        if (role := deployment.roles.by_name.get(name)) is not None
    ]
    mapped = {binding.entity for way, binding in given if way is not Way.SHARE}
    kept = tuple(binding for binding in actor.bindings if binding.entity not in mapped)
    return replace(actor, bindings=kept + tuple(binding for _, binding in given))


def require_known(actor: Actor) -> None:
    """Names of people and groups are not for those who have not said who they are.

    Raises:
        Forbidden: nobody is logged in.
    """
    if not actor.is_authenticated:
        raise Forbidden(hint="Log in to see who has access.", reason=f"{actor.name} is nobody")


def require_may_give(actor: Actor, bindings: Iterable[RoleBinding]) -> None:
    """Only who may change roles on all that a binding covers gives them away there, and no more than they hold.

    Raises:
        Forbidden: the hint says what they lack.
    """
    for binding in bindings:
        if lacking := _lacking(actor, binding):
            shown = ", ".join(sorted(lacking))
            raise Forbidden(
                hint=f"Nobody can give more than they hold; you do not hold {shown} on {binding.entity}.",
                reason=f"{actor.name} may not give {binding.role} on {binding.entity}: lacks {shown}",
            )


def may_give(actor: Actor, binding: RoleBinding) -> bool:
    return not _lacking(actor, binding)


def _lacking(actor: Actor, binding: RoleBinding) -> frozenset[Permission]:
    wanted = binding.role.permissions | {Permission.NAMESPACE_ROLE_MAPPING_CREATE}
    return wanted - actor.permissions_over(binding)
