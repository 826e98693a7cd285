"""Images of builds: their manifests, and which blobs belong to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update

from conda_store.db.builds import columns, record
from conda_store.db.records import ArtifactRecord, BuildRecord
from conda_store.db.tables import build, build_artifact, image_blob, image_manifest, specification
from conda_store.domain.artifact import ArtifactState, ArtifactType, image_part_key
from conda_store.domain.build import BuildStatus
from conda_store.domain.image import Compression


@dataclass(frozen=True)
class ManifestRecord:
    """`digest` is of `content`, sha256 in hex; `platform` is empty for an index of the images of several."""

    digest: str
    media_type: str
    content: bytes
    platform: str = ""


def add(
    connection: Connection,
    build_id: int,
    manifests: Sequence[ManifestRecord],
    blobs: Mapping[str, int],
    compression: Compression = Compression.GZIP,
) -> None:
    """Record the image of a build, in place of an earlier one; `blobs` are sizes by digest, the configuration's too."""
    connection.execute(
        delete(image_manifest).where(image_manifest.c.build_id == build_id, image_manifest.c.compression == compression)
    )
    for manifest in manifests:
        connection.execute(
            insert(image_manifest).values(
                build_id=build_id,
                media_type=manifest.media_type,
                platform=manifest.platform,
                compression=compression,
                digest=manifest.digest,
                content=manifest.content,
            )
        )
    known = digests_of_build(connection, build_id)
    fresh = [
        {"build_id": build_id, "digest": digest, "size": size} for digest, size in blobs.items() if digest not in known
    ]
    if fresh:
        connection.execute(insert(image_blob), fresh)


def remove(connection: Connection, build_id: int) -> None:
    connection.execute(delete(image_manifest).where(image_manifest.c.build_id == build_id))
    connection.execute(delete(image_blob).where(image_blob.c.build_id == build_id))


def withdraw(connection: Connection, build_id: int) -> None:
    """Of a build that has not completed no image is left; one that is being made is not recorded any more."""
    remove(connection, build_id)
    connection.execute(update(build).where(build.c.id == build_id).values(has_plain_image=False))
    connection.execute(
        update(build_artifact)
        .where(
            build_artifact.c.build_id == build_id,
            build_artifact.c.artifact_type == ArtifactType.DOCKER_MANIFEST,
            build_artifact.c.state.in_([ArtifactState.READY, ArtifactState.MAKING]),
        )
        .values(state=ArtifactState.REQUESTED, owner=None, lease_until=None)
    )


def is_wanted(connection: Connection, build_id: int, lock_digest: str) -> bool:
    """Whether an image of this lock is that of the build; until the transaction ends it stays so."""
    query = select(build.c.id).where(
        build.c.id == build_id,
        build.c.lock_digest == lock_digest,
        build.c.deleted_on.is_(None),
        (build.c.status == BuildStatus.COMPLETED)
        | ((build.c.status == BuildStatus.BUILDING) & build.c.has_plain_image),
    )
    return connection.execute(query.with_for_update(read=True)).first() is not None


def needs_prefix(connection: Connection, build_id: int) -> None:
    """The image of a build is not plain after all: it is made when the build has completed."""
    connection.execute(update(build).where(build.c.id == build_id).values(has_plain_image=False))


# clients ask these all the time: putting them together each time would take longer than their answer
_MANIFEST = select(
    image_manifest.c.digest, image_manifest.c.media_type, image_manifest.c.content, image_manifest.c.platform
)
_IN_FORMS = _MANIFEST.where(
    image_manifest.c.build_id == bindparam("wanted"),
    image_manifest.c.media_type.in_(bindparam("media_types", expanding=True)),
    image_manifest.c.compression == bindparam("compression"),
)
_BY_DIGEST = (
    _MANIFEST.join(build, build.c.id == image_manifest.c.build_id)
    .where(
        image_manifest.c.digest == bindparam("wanted"),
        build.c.environment_id == bindparam("environment_id"),
        build.c.deleted_on.is_(None),
    )
    .limit(1)
)
_BLOB_SIZE = (
    select(image_blob.c.size)
    .join(build, build.c.id == image_blob.c.build_id)
    .where(
        image_blob.c.digest == bindparam("wanted"),
        build.c.environment_id == bindparam("environment_id"),
        build.c.deleted_on.is_(None),
    )
    .limit(1)
)


def manifests_of_build(
    connection: Connection, build_id: int, media_types: Sequence[str], compression: Compression = Compression.GZIP
) -> tuple[ManifestRecord, ...]:
    """The manifests and indexes of a build's image in these forms."""
    values = {"wanted": build_id, "media_types": list(media_types), "compression": compression}
    return tuple(ManifestRecord(*row) for row in connection.execute(_IN_FORMS, values))


def manifest_by_digest(connection: Connection, environment_id: int, digest: str) -> ManifestRecord | None:
    """A manifest of one of the environment's builds."""
    row = connection.execute(_BY_DIGEST, {"wanted": digest, "environment_id": environment_id}).one_or_none()
    return ManifestRecord(*row) if row else None


def blob_size(connection: Connection, environment_id: int, digest: str) -> int | None:
    """The size of a blob of one of the environment's images; None where it belongs to none of them."""
    values = {"wanted": digest, "environment_id": environment_id}
    size: int | None = connection.execute(_BLOB_SIZE, values).scalar_one_or_none()
    return size


def digests_of_build(connection: Connection, build_id: int) -> set[str]:
    """The blobs of a build's image."""
    query = select(image_blob.c.digest).where(image_blob.c.build_id == build_id)
    return set(connection.execute(query).scalars())


def parts_of_build(connection: Connection, build_id: int) -> tuple[ArtifactRecord, ...]:
    """The manifests, layers and configurations of a build's image as artifacts. They have no rows as such: an id is
    the beginning of the digest, 52 bits of it."""
    manifest, blob = image_manifest.c, image_blob.c
    manifests = select(manifest.digest, func.length(manifest.content)).where(manifest.build_id == build_id)
    blobs = select(blob.digest, blob.size).where(blob.build_id == build_id)
    parts = [
        (*row, image_part_key(row.digest, is_manifest=True))
        for row in connection.execute(manifests.order_by(manifest.digest))
    ]
    parts += [(*row, image_part_key(row.digest)) for row in connection.execute(blobs.order_by(blob.digest))]
    return tuple(
        ArtifactRecord(int(digest[:13], 16), build_id, ArtifactType.DOCKER_BLOB, key, size=size, sha256=digest)
        for digest, size, key in parts
    )


def pushed_with(connection: Connection, digests: Sequence[str], beginning: str) -> dict[str, str]:
    """For each of the blobs that was pushed to a registry before: the key of an artifact that it was pushed with, of
    those whose keys begin so."""
    query = (
        select(image_blob.c.digest, func.max(build_artifact.c.key).label("key"))
        .join(build_artifact, build_artifact.c.build_id == image_blob.c.build_id)
        .where(
            image_blob.c.digest.in_(digests),
            build_artifact.c.artifact_type == ArtifactType.CONTAINER_REGISTRY,
            build_artifact.c.state == ArtifactState.READY,
            build_artifact.c.key.startswith(beginning, autoescape=True),
        )
        .group_by(image_blob.c.digest)
    )
    return {row.digest: row.key for row in connection.execute(query)}


def newest_of_specification(connection: Connection, environment_id: int, sha256: str) -> int | None:
    """The id of the environment's newest completed build of a specification."""
    query = (
        select(build.c.id)
        .join(specification, specification.c.id == build.c.specification_id)
        .where(specification.c.sha256 == sha256, *_offered(environment_id))
        .order_by(build.c.id.desc())
        .limit(1)
    )
    build_id: int | None = connection.execute(query).scalar_one_or_none()
    return build_id


def newest_in(connection: Connection, environment_id: int, sha256: str) -> BuildRecord | None:
    """The environment's newest build of a specification, whatever became of it, unless it has been deleted."""
    query = (
        columns()
        .join(specification, specification.c.id == build.c.specification_id)
        .where(specification.c.sha256 == sha256, build.c.environment_id == environment_id, build.c.deleted_on.is_(None))
        .order_by(build.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return record(row) if row else None


def tags(connection: Connection, environment_id: int) -> tuple[str, ...]:
    """The keys of the environment's completed builds."""
    query = select(build.c.key).where(*_offered(environment_id))
    return tuple(connection.execute(query).scalars())


def _offered(environment_id: int) -> tuple[ColumnElement[bool], ...]:
    return (
        build.c.environment_id == environment_id,
        build.c.status == BuildStatus.COMPLETED,
        build.c.deleted_on.is_(None),
    )
