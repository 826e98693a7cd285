"""Artifacts of builds, and whose turn it is to make one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, insert, or_, select, update

from conda_store.db.records import ArtifactRecord
from conda_store.db.tables import build, build_artifact
from conda_store.domain.artifact import PACKED, ArtifactState, ArtifactType
from conda_store.domain.build import BuildStatus


def has_artifact(build_id: ColumnElement[Any], artifact: ArtifactType) -> ColumnElement[bool]:
    """A condition: the build offers the artifact, made already or on request."""
    return exists(
        select(build_artifact.c.id).where(
            build_artifact.c.build_id == build_id,
            build_artifact.c.artifact_type == artifact,
            build_artifact.c.state != ArtifactState.FAILED,
        )
    )


def count_with_artifact(artifact: ArtifactType) -> Select[Any]:
    """A query for the number of builds that offer the artifact."""
    return select(func.count(func.distinct(build_artifact.c.build_id))).where(
        build_artifact.c.artifact_type == artifact, build_artifact.c.state != ArtifactState.FAILED
    )


def _record(row: Any) -> ArtifactRecord:
    return ArtifactRecord(
        row.id,
        row.build_id,
        row.artifact_type,
        row.key,
        row.state,
        row.size,
        row.sha256,
        row.message,
        row.attempt,
        row.owner,
    )


def of_build(connection: Connection, build_id: int) -> tuple[ArtifactRecord, ...]:
    query = select(build_artifact).where(build_artifact.c.build_id == build_id).order_by(build_artifact.c.id)
    return tuple(_record(row) for row in connection.execute(query))


def find(connection: Connection, build_id: int, artifact: ArtifactType) -> ArtifactRecord | None:
    query = (
        select(build_artifact)
        .where(build_artifact.c.build_id == build_id, build_artifact.c.artifact_type == artifact)
        .order_by(build_artifact.c.id)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return _record(row) if row else None


def get(connection: Connection, artifact_id: int) -> ArtifactRecord | None:
    row = connection.execute(select(build_artifact).where(build_artifact.c.id == artifact_id)).one_or_none()
    return _record(row) if row else None


def add(
    connection: Connection,
    build_id: int,
    artifact: ArtifactType,
    key: str,
    *,
    state: ArtifactState = ArtifactState.READY,
    size: int = 0,
    sha256: str | None = None,
) -> None:
    """Record an artifact; one that is there already under this key is replaced."""
    same = (
        build_artifact.c.build_id == build_id,
        build_artifact.c.artifact_type == artifact,
        build_artifact.c.key == key,
    )
    values = {"state": state, "size": size, "sha256": sha256}
    if connection.execute(update(build_artifact).where(*same).values(**values)).rowcount == 0:
        connection.execute(insert(build_artifact).values(build_id=build_id, artifact_type=artifact, key=key, **values))


def remove(connection: Connection, artifact_ids: Sequence[int]) -> None:
    connection.execute(delete(build_artifact).where(build_artifact.c.id.in_(artifact_ids)))


def request(connection: Connection, artifact_id: int) -> None:
    """Ask for an artifact to be made (again)."""
    connection.execute(
        update(build_artifact)
        .where(
            build_artifact.c.id == artifact_id,
            build_artifact.c.state.in_([ArtifactState.FAILED, ArtifactState.ON_REQUEST]),
        )
        .values(state=ArtifactState.REQUESTED, message=None, attempt=0)
    )


def set_ready(connection: Connection, artifact_id: int, *, size: int, sha256: str) -> None:
    """The blob is there, whoever made it."""
    connection.execute(
        update(build_artifact)
        .where(build_artifact.c.id == artifact_id)
        .values(state=ArtifactState.READY, size=size, sha256=sha256, message=None)
    )


def has_requested(connection: Connection) -> bool:
    """Whether an artifact is asked for, or the lease of its maker has run out."""
    query = select(build_artifact.c.id).where(_is_due(time.time())).limit(1)
    return connection.execute(query).first() is not None


def _is_due(now: float) -> ColumnElement[bool]:
    return or_(
        build_artifact.c.state == ArtifactState.REQUESTED,
        and_(build_artifact.c.state == ArtifactState.MAKING, build_artifact.c.lease_until < now),
    )


def claim(connection: Connection, owner: str, duration: timedelta) -> ArtifactRecord | None:
    """Take the next artifact that is asked for, or whose maker was lost."""
    now = time.time()
    candidate = (
        select(build_artifact.c.id)
        .join(build, build.c.id == build_artifact.c.build_id)
        .where(
            build.c.status == BuildStatus.COMPLETED,
            build.c.deleted_on.is_(None),
            build_artifact.c.artifact_type.in_(PACKED),
            _is_due(now),
        )
        .order_by(build_artifact.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=build_artifact)
        .scalar_subquery()
    )
    row = connection.execute(
        update(build_artifact)
        .where(build_artifact.c.id == candidate)
        .values(
            state=ArtifactState.MAKING,
            owner=owner,
            lease_until=now + duration.total_seconds(),
            attempt=build_artifact.c.attempt + 1,
        )
        .returning(build_artifact)
    ).one_or_none()
    return _record(row) if row else None


def renew(connection: Connection, artifact: ArtifactRecord, duration: timedelta) -> bool:
    return _mine(connection, artifact, {"lease_until": time.time() + duration.total_seconds()})


def finish(connection: Connection, artifact: ArtifactRecord, *, size: int, sha256: str) -> bool:
    """False when somebody else has taken the work over."""
    return _mine(connection, artifact, {"state": ArtifactState.READY, "size": size, "sha256": sha256})


def fail(connection: Connection, artifact: ArtifactRecord, message: str) -> bool:
    return _mine(connection, artifact, {"state": ArtifactState.FAILED, "message": message})


def release(connection: Connection, artifact: ArtifactRecord) -> bool:
    """Give the work back."""
    return _mine(connection, artifact, {"state": ArtifactState.REQUESTED, "owner": None})


def _mine(connection: Connection, artifact: ArtifactRecord, values: dict[str, Any]) -> bool:
    changed = connection.execute(
        update(build_artifact)
        .where(
            build_artifact.c.id == artifact.id,
            build_artifact.c.state == ArtifactState.MAKING,
            build_artifact.c.owner == artifact.owner,
            build_artifact.c.attempt == artifact.attempt,
        )
        .values(**values)
    )
    return changed.rowcount == 1
