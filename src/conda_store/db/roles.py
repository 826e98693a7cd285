"""Roles that were given while the service runs: role mappings of both versions, and shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, insert, or_, select, update

from conda_store.db.records import RoleRecord
from conda_store.db.tables import namespace, role_binding
from conda_store.domain.access import Holder, HolderKind, RoleBinding, Way


def _key(holder: Holder) -> str:
    return f"{holder.kind}:{holder.name}"


def _holder(key: str) -> Holder:
    kind, _, name = key.partition(":")
    return Holder(HolderKind(kind), name)


def _record(row: Any) -> RoleRecord:
    return RoleRecord(
        row.id,
        Way(row.way),
        row.namespace,
        _holder(row.holder),
        row.entity_namespace,
        row.entity_environment,
        row.role,
        row.given_by,
        row.given_on,
    )


# every request asks this: putting it together each time would take as long as its answer
_HELD = select(
    role_binding.c.way,
    role_binding.c.holder,
    role_binding.c.entity_namespace,
    role_binding.c.entity_environment,
    role_binding.c.role,
).where(
    role_binding.c.holder.in_(bindparam("holders", expanding=True)),
    role_binding.c.way.in_(bindparam("ways", expanding=True)),
)


def held_by(
    connection: Connection, holders: Sequence[Holder], ways: Sequence[Way]
) -> list[tuple[Way, Holder, str, str, str]]:
    """What these holders have been given: way, holder, namespace, environment and name of the role."""
    rows = connection.execute(_HELD, {"holders": [_key(holder) for holder in holders], "ways": list(ways)})
    return [(row[0], _holder(row[1]), row[2], row[3], row[4]) for row in rows]


def _list(connection: Connection, *conditions: ColumnElement[bool]) -> tuple[RoleRecord, ...]:
    query = (
        select(role_binding, namespace.c.name.label("namespace"))
        .join(namespace, namespace.c.id == role_binding.c.namespace_id)
        .where(*conditions)
        .order_by(role_binding.c.id)
    )
    return tuple(_record(row) for row in connection.execute(query))


def given_by(connection: Connection, namespace_id: int, way: Way) -> tuple[RoleRecord, ...]:
    """What a namespace has given in this way, in the order in which it was given."""
    return _list(connection, role_binding.c.namespace_id == namespace_id, role_binding.c.way == way)


def shares(connection: Connection, name: str, environment: str | None = None) -> tuple[RoleRecord, ...]:
    """With whom an environment is shared, or a namespace and whatever is in it."""
    conditions = [role_binding.c.way == Way.SHARE, role_binding.c.entity_namespace == name]
    if environment is not None:
        conditions.append(role_binding.c.entity_environment == environment)
    return _list(connection, *conditions)


def concerning(connection: Connection, name: str) -> tuple[RoleRecord, ...]:
    """All that names the namespace, or a pattern that may match it."""
    entity = role_binding.c.entity_namespace
    return _list(connection, or_(entity == name, entity.contains("*", autoescape=True)))


def find(
    connection: Connection, namespace_id: int, way: Way, holder: Holder, binding_environment: str = "*"
) -> RoleRecord | None:
    """The role that a holder was given on a whole namespace, or on one environment in it."""
    found = _list(
        connection,
        role_binding.c.namespace_id == namespace_id,
        role_binding.c.way == way,
        role_binding.c.holder == _key(holder),
        role_binding.c.entity_environment == binding_environment,
    )
    return found[0] if found else None


def add(
    connection: Connection,
    namespace_id: int,
    way: Way,
    holder: Holder,
    binding: RoleBinding,
    given_by: str,
    now: datetime,
) -> int:
    """The id of the new row."""
    values = {
        "namespace_id": namespace_id,
        "way": way,
        "holder": _key(holder),
        "entity_namespace": binding.namespace,
        "entity_environment": binding.environment,
        "role": binding.role.name,
        "given_by": given_by,
        "given_on": now,
    }
    created: int = connection.execute(insert(role_binding).values(values).returning(role_binding.c.id)).scalar_one()
    return created


def change(connection: Connection, role_id: int, role: str, given_by: str, now: datetime) -> None:
    connection.execute(
        update(role_binding).where(role_binding.c.id == role_id).values(role=role, given_by=given_by, given_on=now)
    )


def remove(connection: Connection, role_ids: Iterable[int]) -> None:
    connection.execute(delete(role_binding).where(role_binding.c.id.in_(list(role_ids))))


def forget_namespace(connection: Connection, namespace_id: int) -> None:
    """All that was given by the namespace, to it or on it: whoever takes the name next begins anew."""
    name = select(namespace.c.name).where(namespace.c.id == namespace_id).scalar_subquery()
    holder = f"{HolderKind.NAMESPACE}:" + name
    connection.execute(
        delete(role_binding).where(
            or_(
                role_binding.c.namespace_id == namespace_id,
                role_binding.c.holder == holder,
                role_binding.c.entity_namespace == name,
            )
        )
    )


def forget_environment(connection: Connection, name: str, environment: str) -> None:
    """All that was given on this very environment."""
    same = and_(role_binding.c.entity_namespace == name, role_binding.c.entity_environment == environment)
    connection.execute(delete(role_binding).where(same))
