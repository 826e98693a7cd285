"""Artifacts of builds, and whose turn it is to make one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, insert, or_, select, update

from conda_store.db.paging import count_of
from conda_store.db.records import ArtifactRecord
from conda_store.db.tables import build, build_artifact, image_manifest
from conda_store.domain.artifact import PACKED, ArtifactState, ArtifactType
from conda_store.domain.build import BuildStatus


def has_artifact(connection: Connection, build_id: ColumnElement[Any], artifact: ArtifactType) -> ColumnElement[bool]:
    """A condition: the build offers the artifact, made already or on request.

    Where few do, these are looked up first; else builds are gone through and asked.
    """
    offering, conditions = _offering(artifact)
    query = select(offering).where(*conditions)
    if count_of(connection, query.limit(_FEW)) < _FEW:
        return build_id.in_(query)
    return exists(query.where(offering == build_id))


# rows; to gather so many takes a millisecond
_FEW = 1000
# of these a build may have more than one
_SEVERAL = frozenset({ArtifactType.DOCKER_BLOB, ArtifactType.DOCKER_MANIFEST, ArtifactType.CONTAINER_REGISTRY})


def count_with_artifact(artifact: ArtifactType) -> Select[Any]:
    """A query for the number of builds that offer the artifact."""
    offering, conditions = _offering(artifact)
    return select(func.count(func.distinct(offering) if artifact in _SEVERAL else offering)).where(*conditions)


def _offering(artifact: ArtifactType) -> tuple[ColumnElement[Any], tuple[ColumnElement[bool], ...]]:
    """The column of builds in the table that says which of them offer an artifact, and the conditions on its rows.

    Layers and manifests of images have no rows among the artifacts: see `images.parts_of_build`.
    """
    if artifact is ArtifactType.DOCKER_BLOB:
        return image_manifest.c.build_id, ()
    kind, state = build_artifact.c.artifact_type, build_artifact.c.state
    return build_artifact.c.build_id, (kind == artifact, state != ArtifactState.FAILED)


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


def find(
    connection: Connection, build_id: int, artifact: ArtifactType, key: str | None = None
) -> ArtifactRecord | None:
    """The first artifact of this type, or the one under a key."""
    query = (
        select(build_artifact)
        .where(build_artifact.c.build_id == build_id, build_artifact.c.artifact_type == artifact)
        .order_by(build_artifact.c.id)
        .limit(1)
    )
    if key is not None:
        query = query.where(build_artifact.c.key == key)
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


def set_ready(connection: Connection, artifact_id: int, *, size: int, sha256: str) -> bool:
    """The blob is there, whoever made it. False when the build has been deleted."""
    changed = connection.execute(
        update(build_artifact)
        .where(build_artifact.c.id == artifact_id, _is_of_live_build())
        .values(state=ArtifactState.READY, size=size, sha256=sha256, message=None)
    )
    return changed.rowcount == 1


def _is_of_live_build() -> ColumnElement[bool]:
    live = select(build.c.id).where(build.c.deleted_on.is_(None), build.c.id == build_artifact.c.build_id)
    return exists(live.correlate(build_artifact))


def has_requested(connection: Connection) -> bool:
    """Whether an artifact is asked for that can be made now."""
    query = _requested(or_(build.c.status == BuildStatus.COMPLETED, _is_plain_image()))
    return connection.execute(query).first() is not None


def _requested(condition: ColumnElement[bool]) -> Select[Any]:
    return (
        select(build_artifact.c.id)
        .join(build, build.c.id == build_artifact.c.build_id)
        .where(
            condition,
            build.c.deleted_on.is_(None),
            build_artifact.c.artifact_type.in_(PACKED),
            build_artifact.c.state == ArtifactState.REQUESTED,
        )
        .order_by(build_artifact.c.id)
        .limit(1)
    )


def _is_plain_image() -> ColumnElement[bool]:
    """Images that are made of the lock alone need not wait for the end of the build."""
    return and_(
        build.c.status == BuildStatus.BUILDING,
        build.c.has_plain_image,
        build_artifact.c.artifact_type == ArtifactType.DOCKER_MANIFEST,
    )


def claim(
    connection: Connection, owner: str, duration: timedelta, *, beside_build: bool = False
) -> ArtifactRecord | None:
    """Take the next artifact that is asked for, of a build that has completed; with `beside_build` of one that is
    still installing."""
    now = time.time()
    condition = _is_plain_image() if beside_build else build.c.status == BuildStatus.COMPLETED
    candidate = _requested(condition).with_for_update(skip_locked=True, of=build_artifact).scalar_subquery()
    row = connection.execute(
        update(build_artifact)
        .where(build_artifact.c.id == candidate, build_artifact.c.state == ArtifactState.REQUESTED)
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
    """False when it need not be made any more: somebody else has taken it over, or the build has been deleted."""
    values = {"lease_until": time.time() + duration.total_seconds()}
    return _mine(connection, artifact, values, _is_of_live_build())


def is_to_be_made(connection: Connection, artifact: ArtifactRecord) -> bool:
    """As `renew`, but only looks."""
    query = select(build_artifact.c.id).where(*_held(artifact), _is_of_live_build())
    return connection.execute(query).first() is not None


def expired(connection: Connection) -> tuple[ArtifactRecord, ...]:
    """Artifacts whose maker no longer renews."""
    query = select(build_artifact).where(
        build_artifact.c.state == ArtifactState.MAKING, build_artifact.c.lease_until < time.time()
    )
    return tuple(_record(row) for row in connection.execute(query))


def owned_by_host(connection: Connection, prefix: str) -> tuple[ArtifactRecord, ...]:
    """Artifacts that workers are at whose owner's name begins like this."""
    query = select(build_artifact).where(
        build_artifact.c.state == ArtifactState.MAKING, build_artifact.c.owner.startswith(prefix, autoescape=True)
    )
    return tuple(_record(row) for row in connection.execute(query))


def finish(connection: Connection, artifact: ArtifactRecord, *, size: int, sha256: str) -> bool:
    """False when somebody else has taken the work over, or the build has been deleted."""
    values = {"state": ArtifactState.READY, "size": size, "sha256": sha256}
    return _mine(connection, artifact, values, _is_of_live_build())


def fail(connection: Connection, artifact: ArtifactRecord, message: str) -> bool:
    return _mine(connection, artifact, {"state": ArtifactState.FAILED, "message": message})


def release(connection: Connection, artifact: ArtifactRecord) -> bool:
    """Give the work back."""
    return _mine(connection, artifact, {"state": ArtifactState.REQUESTED, "owner": None})


def lose(
    connection: Connection, artifact: ArtifactRecord, message: str, max_attempts: int, *, is_expired: bool = False
) -> bool:
    """Its maker was lost: it is made again by whoever comes, or FAILED after so many attempts.

    With `is_expired`: unless its maker has renewed the lease meanwhile.
    """
    values: dict[str, Any] = {"state": ArtifactState.REQUESTED, "owner": None}
    if artifact.attempt >= max_attempts:
        values = {"state": ArtifactState.FAILED, "message": message}
    conditions = (build_artifact.c.lease_until < time.time(),) if is_expired else ()
    return _mine(connection, artifact, values, *conditions)


def _mine(
    connection: Connection, artifact: ArtifactRecord, values: dict[str, Any], *further: ColumnElement[bool]
) -> bool:
    changed = connection.execute(update(build_artifact).where(*_held(artifact), *further).values(**values))
    return changed.rowcount == 1


def _held(artifact: ArtifactRecord) -> tuple[ColumnElement[bool], ...]:
    return (
        build_artifact.c.id == artifact.id,
        build_artifact.c.state == ArtifactState.MAKING,
        build_artifact.c.owner == artifact.owner,
        build_artifact.c.attempt == artifact.attempt,
    )
