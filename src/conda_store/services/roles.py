"""Role mappings: which roles a namespace gives.

Version 1 says what those may do elsewhere whose primary namespace it is; version 2, what those of other namespaces may
do in it. Both are always kept and answered; the deployment says which of them counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from conda_store.db import namespaces, roles
from conda_store.db.records import RoleRecord
from conda_store.domain.access import Actor, Holder, HolderKind, RoleBinding, Target, Way, parse_binding
from conda_store.domain.audit import about
from conda_store.domain.roles import Permission, Roles
from conda_store.errors import Conflict, InvalidInput, NotFound
from conda_store.services.access import require_may_give
from conda_store.services.context import Context

_READ = (Permission.NAMESPACE_READ, Permission.NAMESPACE_ROLE_MAPPING_READ)


def list_mappings(context: Context, actor: Actor, name: str) -> tuple[RoleRecord, ...]:
    """The role mappings of version 1; none for who may see the namespace, but not its roles."""
    actor.require(Permission.NAMESPACE_READ, Target(name))
    if not actor.may(Permission.NAMESPACE_ROLE_MAPPING_READ, Target(name)):
        return ()
    with context.database.read() as connection:
        return roles.given_by(connection, namespaces.get(connection, name).id, Way.MAPPING)


def update_namespace(
    context: Context,
    actor: Actor,
    name: str,
    metadata: Mapping[str, Any] | None,
    mappings: Mapping[str, Sequence[str]] | None,
) -> None:
    """Replace the metadata, and all role mappings of version 1 (`{"team/*": ["viewer"]}`), where they are given.

    Raises:
        InvalidInput: an entity or role is none.
        Forbidden: a mapping is new, and gives more than the actor holds.
    """
    actor.require_all(
        (
            Permission.NAMESPACE_UPDATE,
            Permission.NAMESPACE_ROLE_MAPPING_CREATE,
            Permission.NAMESPACE_ROLE_MAPPING_DELETE,
        ),
        Target(name),
    )
    wanted = _parsed(mappings, context.deployment.roles) if mappings is not None else None
    with context.database.write() as connection:
        namespace = namespaces.get(connection, name)
        if metadata is not None:
            namespaces.set_metadata(connection, namespace.id, metadata)
        if wanted is not None:
            holder = Holder(HolderKind.NAMESPACE, name)
            there = {(row.entity, row.role): row.id for row in roles.given_by(connection, namespace.id, Way.MAPPING)}
            new = [binding for key, binding in wanted.items() if key not in there]
            require_may_give(actor, new)
            about(", ".join(f"{role} on {entity}" for entity, role in wanted) or "no role mappings")
            roles.remove(connection, (role_id for key, role_id in there.items() if key not in wanted))
            for binding in new:
                roles.add(connection, namespace.id, Way.MAPPING, holder, binding, actor.name, datetime.now(UTC))


def add_mapping(context: Context, actor: Actor, name: str, entity: str, role: str) -> None:
    """Give those whose primary namespace this is a role elsewhere (version 1); nothing where they have it already.

    Raises:
        InvalidInput: the entity or role is none.
        Forbidden: it gives more than the actor holds.
    """
    actor.require_all((Permission.NAMESPACE_UPDATE, Permission.NAMESPACE_ROLE_MAPPING_CREATE), Target(name))
    about(f"{role} on {entity}")
    (binding,) = _parsed({entity: [role]}, context.deployment.roles).values()
    require_may_give(actor, [binding])
    with context.database.write() as connection:
        namespace = namespaces.get(connection, name)
        there = {(row.entity, row.role) for row in roles.given_by(connection, namespace.id, Way.MAPPING)}
        if (binding.entity, binding.role.name) not in there:
            holder = Holder(HolderKind.NAMESPACE, name)
            roles.add(connection, namespace.id, Way.MAPPING, holder, binding, actor.name, datetime.now(UTC))


def remove_mapping(context: Context, actor: Actor, name: str, entity: str, role: str) -> None:
    """Take a role elsewhere (version 1) back, if it was given."""
    actor.require_all((Permission.NAMESPACE_UPDATE, Permission.NAMESPACE_ROLE_MAPPING_DELETE), Target(name))
    about(f"{role} on {entity}")
    with context.database.write() as connection:
        rows = roles.given_by(connection, namespaces.get(connection, name).id, Way.MAPPING)
        roles.remove(connection, (row.id for row in rows if (row.entity, row.role) == (entity, role)))


def _parsed(mappings: Mapping[str, Sequence[str]], known: Roles) -> dict[tuple[str, str], RoleBinding]:
    found: dict[tuple[str, str], RoleBinding] = {}
    for entity, names in mappings.items():
        for name in names:
            try:
                binding = parse_binding(entity, name, known)
            except InvalidInput as error:
                # clients know this text, for wrong roles too
                hint = error.hint if error.message.startswith("invalid entity") else f"{error.message}. {error.hint}"
                raise InvalidInput(f"invalid entity={entity[:200]}", hint=hint) from None
            found[binding.entity, binding.role.name] = binding
    return found


def list_roles(context: Context, actor: Actor, name: str) -> tuple[RoleRecord, ...]:
    """Which namespaces have a role in this one (version 2)."""
    actor.require_all(_READ, Target(name))
    with context.database.read() as connection:
        return roles.given_by(connection, namespaces.get(connection, name).id, Way.MAPPING_V2)


def delete_roles(context: Context, actor: Actor, name: str) -> None:
    actor.require_all((Permission.NAMESPACE_READ, Permission.NAMESPACE_ROLE_MAPPING_DELETE), Target(name))
    with context.database.write() as connection:
        rows = roles.given_by(connection, namespaces.get(connection, name).id, Way.MAPPING_V2)
        roles.remove(connection, (row.id for row in rows))


def get_role(context: Context, actor: Actor, name: str, other: str) -> RoleRecord:
    """The role of another namespace in this one.

    Raises:
        NotFound: it has none.
        InvalidInput: there is no such other namespace.
    """
    actor.require_all(_READ, Target(name))
    with context.database.read() as connection:
        namespace = namespaces.get(connection, name)
        other_exists = namespaces.find(connection, other) is not None
        found = roles.find(connection, namespace.id, Way.MAPPING_V2, Holder(HolderKind.NAMESPACE, other))
    return _existing(found, other, other_exists)


def give_role(context: Context, actor: Actor, name: str, other: str, role: str) -> None:
    """Give those of another namespace a role in this one.

    Raises:
        Conflict: they have one already.
        InvalidInput: there is no such namespace or role.
        Forbidden: the role permits more than the actor may do.
    """
    actor.require_all((Permission.NAMESPACE_READ, Permission.NAMESPACE_ROLE_MAPPING_CREATE), Target(name))
    about(f"{role} for namespace {other}")
    binding = RoleBinding(name, "*", context.deployment.roles.parse(role))
    with context.database.write() as connection:
        namespace = namespaces.get(connection, name)
        if namespaces.find(connection, other) is None:
            raise _no_namespace(other)
        holder = Holder(HolderKind.NAMESPACE, other)
        if roles.find(connection, namespace.id, Way.MAPPING_V2, holder):
            raise Conflict(f"namespace {other} has a role in {name} already", hint="Change it with PUT.")
        require_may_give(actor, [binding])
        roles.add(connection, namespace.id, Way.MAPPING_V2, holder, binding, actor.name, datetime.now(UTC))


def change_role(context: Context, actor: Actor, name: str, other: str, role: str) -> None:
    """
    Raises:
        NotFound: the other namespace has no role here.
        InvalidInput, Forbidden: as for `give_role`.
    """
    actor.require_all((Permission.NAMESPACE_READ, Permission.NAMESPACE_ROLE_MAPPING_UPDATE), Target(name))
    about(f"{role} for namespace {other}")
    binding = RoleBinding(name, "*", context.deployment.roles.parse(role))
    with context.database.write() as connection:
        namespace = namespaces.get(connection, name)
        other_exists = namespaces.find(connection, other) is not None
        found = roles.find(connection, namespace.id, Way.MAPPING_V2, Holder(HolderKind.NAMESPACE, other))
        existing = _existing(found, other, other_exists)
        require_may_give(actor, [binding])
        roles.change(connection, existing.id, binding.role.name, actor.name, datetime.now(UTC))


def take_role(context: Context, actor: Actor, name: str, other: str) -> None:
    """Those of the other namespace have no role here any more, if they had one."""
    actor.require_all((Permission.NAMESPACE_READ, Permission.NAMESPACE_ROLE_MAPPING_DELETE), Target(name))
    about(f"namespace {other}")
    with context.database.write() as connection:
        namespace = namespaces.get(connection, name)
        found = roles.find(connection, namespace.id, Way.MAPPING_V2, Holder(HolderKind.NAMESPACE, other))
        roles.remove(connection, [found.id] if found else [])


def _existing(found: RoleRecord | None, other: str, other_exists: bool) -> RoleRecord:
    if not other_exists:
        raise _no_namespace(other)
    if found is None:
        raise NotFound("failed to find role", hint=f"Namespace {other} has no role here.")
    return found


def _no_namespace(name: str) -> InvalidInput:
    return InvalidInput(f"Namespace={name[:255]!r} not found", hint="Create it first, or mend its name.")
