"""Making the artifacts that are packed from the finished prefix: archive and installer."""

from __future__ import annotations

import uuid
from pathlib import Path

import structlog

from conda_store.artifacts.archive import write_archive
from conda_store.artifacts.installer import installer_chunks
from conda_store.db import artifacts, builds, locks
from conda_store.db.records import ArtifactRecord, BuildRecord
from conda_store.domain.artifact import ArtifactState, ArtifactType, blob_key, content_type
from conda_store.domain.platform import current_platform
from conda_store.errors import CondaStoreError, NotFound
from conda_store.services.context import Context
from conda_store.storage.blobs import StoredBlob

logger = structlog.get_logger()


def make_artifact(context: Context, artifact: ArtifactRecord) -> None:
    """Make it and write down that it is READY, or FAILED and why; the build stays what it is."""
    try:
        stored = _make(context, artifact)
    except (CondaStoreError, OSError) as error:
        logger.warning("artifact could not be made", artifact_id=artifact.id, error=str(error))
        message = error.message if isinstance(error, CondaStoreError) else f"{error.strerror or error}"
        with context.database.write() as connection:
            artifacts.fail(connection, artifact, message)
        return
    except Exception:
        logger.exception("artifact ended by an unexpected error", artifact_id=artifact.id)
        with context.database.write() as connection:
            artifacts.fail(connection, artifact, "an unexpected error; the worker's log tells more")
        return
    with context.database.write() as connection:
        artifacts.finish(connection, artifact, size=stored.size, sha256=stored.sha256)


def _make(context: Context, artifact: ArtifactRecord) -> StoredBlob:
    with context.database.read() as connection:
        build = builds.get(connection, artifact.build_id)
    if build is None or build.prefix is None or build.lock_digest is None or build.deleted_on is not None:
        raise NotFound("the environment has been deleted")
    if artifact.type is ArtifactType.CONDA_PACK:
        return _archive(context, build)
    return _installer(context, build, artifact.key)


def _archive(context: Context, build: BuildRecord) -> StoredBlob:
    """Packed beside the environments, then taken over by the storage."""
    assert build.lock_digest is not None and build.prefix is not None
    with context.database.read() as connection:
        lock = locks.load(connection, build.lock_digest).on(current_platform())
    if lock is None:
        raise NotFound(f"the environment was not built for {current_platform()}")
    directory = context.deployment.store_directory / "%packing"
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{build.key[:200]}-{uuid.uuid4().hex[:8]}.tar.gz"
    try:
        packed = write_archive(Path(build.prefix), lock, file)
        key = blob_key(ArtifactType.CONDA_PACK, build.key)
        return context.blobs.put_file(key, file, content_type(ArtifactType.CONDA_PACK), sha256=packed.sha256)
    finally:
        file.unlink(missing_ok=True)


def _installer(context: Context, build: BuildRecord, key: str) -> StoredBlob:
    """A script in front of the archive, which is made first where it is not there."""
    with context.database.read() as connection:
        archive = artifacts.find(connection, build.id, ArtifactType.CONDA_PACK)
    if archive is not None and archive.state is ArtifactState.READY and archive.sha256 is not None:
        packed = StoredBlob(archive.key, archive.size, archive.sha256)
    else:
        packed = _archive(context, build)
        if archive is not None:
            with context.database.write() as connection:
                artifacts.set_ready(connection, archive.id, size=packed.size, sha256=packed.sha256)
    chunks = installer_chunks(
        context.blobs.chunks(packed.key),
        name=build.environment,
        platform=current_platform(),
        archive_size=packed.size,
        archive_sha256=packed.sha256,
    )
    return context.blobs.put(key, chunks, content_type(ArtifactType.CONSTRUCTOR_INSTALLER))
