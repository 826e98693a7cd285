"""Specifications: stored once by their hash, never changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, insert, select

from conda_store.db.builds import deleted_environments
from conda_store.db.paging import Page, PageRequest, fetch_page
from conda_store.db.records import SpecificationRecord
from conda_store.db.tables import build, environment, namespace, specification
from conda_store.db.visibility import environments_readable_by, reads_everything
from conda_store.domain.access import Actor
from conda_store.domain.specification import AnySpecification, LockfileSpecification


def _record(row: Any) -> SpecificationRecord:
    return SpecificationRecord(row.id, row.name, row.spec, row.sha256, row.created_on, row.is_lockfile)


def ensure(connection: Connection, wanted: AnySpecification, now: datetime) -> SpecificationRecord:
    row = connection.execute(select(specification).where(specification.c.sha256 == wanted.sha256)).one_or_none()
    if row:
        return _record(row)
    values = {
        "name": wanted.name,
        "spec": wanted.model(),
        "sha256": wanted.sha256,
        "created_on": now,
        "is_lockfile": isinstance(wanted, LockfileSpecification),
    }
    created = connection.execute(insert(specification).values(**values).returning(specification.c.id))
    return SpecificationRecord(id=created.scalar_one(), **values)  # type: ignore[arg-type]


def get(connection: Connection, specification_id: int) -> SpecificationRecord:
    return _record(connection.execute(select(specification).where(specification.c.id == specification_id)).one())


def _visible(actor: Actor) -> Any:
    """A condition: built in an environment that the actor may read."""
    its_builds = select(build.c.id).where(build.c.specification_id == specification.c.id)
    if reads_everything(actor):
        return exists(its_builds.where(build.c.environment_id.not_in(deleted_environments())))
    return exists(
        its_builds.join(environment, environment.c.id == build.c.environment_id)
        .join(namespace, namespace.c.id == environment.c.namespace_id)
        .where(environment.c.deleted_on.is_(None), environments_readable_by(actor))
    )


def find_readable(connection: Connection, actor: Actor, sha256: str) -> SpecificationRecord | None:
    row = connection.execute(
        select(specification).where(specification.c.sha256 == sha256, _visible(actor))
    ).one_or_none()
    return _record(row) if row else None


def list_readable(connection: Connection, actor: Actor, request: PageRequest) -> Page[SpecificationRecord]:
    return fetch_page(
        connection,
        _record,
        select(specification).where(_visible(actor)),
        request,
        {"id": [specification.c.id], "name": [specification.c.name], "created_on": [specification.c.created_on]},
        ["id"],
        tie=specification.c.id,
    )


def has_build_in(connection: Connection, sha256: str, environment_id: int) -> bool:
    """Whether this very specification was already built, or is being built, in the environment."""
    query = (
        select(build.c.id)
        .join(specification, specification.c.id == build.c.specification_id)
        .where(
            specification.c.sha256 == sha256,
            build.c.environment_id == environment_id,
            build.c.deleted_on.is_(None),
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None
