"""What namespaces use, and which of them have as many builds running as they may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, case, func, select, update

from conda_store.db.tables import build, environment, keyvaluestore, namespace
from conda_store.domain.build import BuildStatus
from conda_store.domain.quota import Used


def used(connection: Connection, name: str) -> Used:
    """Of a namespace that does not exist: nothing, but images that its members asked for."""
    inside = environment.join(namespace, namespace.c.id == environment.c.namespace_id)
    here = (namespace.c.name == name, namespace.c.deleted_on.is_(None), environment.c.deleted_on.is_(None))
    environments = connection.execute(select(func.count()).select_from(inside).where(*here)).scalar_one()
    row = connection.execute(
        select(
            func.count().filter(build.c.deleted_on.is_(None)),
            func.coalesce(func.sum(build.c.size), 0),
            func.count().filter(build.c.status == BuildStatus.BUILDING),
        )
        .select_from(build.join(inside, build.c.environment_id == environment.c.id))
        .where(*here)
    ).one()
    images = select(func.count()).where(environment.c.requested_for == name, environment.c.deleted_on.is_(None))
    return Used(int(environments), int(row[0]), int(row[1]), int(row[2]), int(connection.execute(images).scalar_one()))


def set_requested_for(connection: Connection, environment_id: int, namespace_name: str) -> None:
    """Whose quota an image by names of packages counts towards."""
    connection.execute(
        update(environment).where(environment.c.id == environment_id).values(requested_for=namespace_name)
    )


@dataclass(frozen=True)
class Limits:
    """How many builds may run at once in each namespace; None: as many as there is room for."""

    otherwise: int | None = None
    of_namespaces: Mapping[str, int | None] = field(default_factory=dict)


def build_limits(connection: Connection, default: int | None) -> Limits:
    """The quota of builds at once on all levels: of the options (`default`), of all namespaces, and of single ones."""
    query = select(keyvaluestore.c.prefix, keyvaluestore.c.value).where(
        keyvaluestore.c.key == "quota_concurrent_builds", keyvaluestore.c.prefix.startswith("setting", autoescape=True)
    )
    rows = {row.prefix: row.value for row in connection.execute(query)}
    otherwise = rows.pop("setting", default)
    return Limits(otherwise, {prefix.removeprefix("setting/"): value for prefix, value in rows.items()})


def environments_that_wait(wanted: Limits) -> Select[Any] | None:
    """The environments of namespaces that have as many builds running as they may; None where there is no limit."""
    if wanted.otherwise is None and all(limit is None for limit in wanted.of_namespaces.values()):
        return None
    unlimited = 2**31 - 1
    numbers = {name: unlimited if limit is None else limit for name, limit in wanted.of_namespaces.items()}
    otherwise = unlimited if wanted.otherwise is None else wanted.otherwise
    limit: Any = case(numbers, value=namespace.c.name, else_=otherwise) if numbers else otherwise
    running, busy = build.alias("running"), environment.alias("busy")
    full = (
        select(busy.c.namespace_id)
        .select_from(
            running.join(busy, busy.c.id == running.c.environment_id).join(
                namespace, namespace.c.id == busy.c.namespace_id
            )
        )
        .where(running.c.status == BuildStatus.BUILDING)
        .group_by(busy.c.namespace_id, namespace.c.name)
        .having(func.count() >= limit)
    )
    return select(environment.c.id).where(environment.c.namespace_id.in_(full))


def waits(connection: Connection, environment_id: int, wanted: Limits) -> bool:
    """Whether the environment is one of them."""
    waiting = environments_that_wait(wanted)
    if waiting is None:
        return False
    return connection.execute(waiting.where(environment.c.id == environment_id)).first() is not None
