"""Making the artifacts that are packed from the finished prefix: archive and installer."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from conda_store.artifacts.archive import write_archive
from conda_store.artifacts.installer import installer_chunks
from conda_store.builder.removal import set_aside
from conda_store.db import artifacts, builds, images, locks
from conda_store.db.records import ArtifactRecord, BuildRecord
from conda_store.domain.artifact import ArtifactState, ArtifactType, blob_key, content_type, image_key
from conda_store.domain.image import Compression
from conda_store.domain.platform import current_platform
from conda_store.errors import CondaStoreError, NotFound
from conda_store.services.context import Context
from conda_store.services.image_making import NeedsPrefix, make_image
from conda_store.services.image_pushing import push_image
from conda_store.services.image_zstd import make_zstd_image
from conda_store.storage.blobs import StoredBlob

logger = structlog.get_logger()


def make_artifact(context: Context, artifact: ArtifactRecord) -> None:
    """Make it and write down that it is READY, or FAILED and why; the build stays what it is.

    An image that turns out to need the installed environment is asked for again, for when that is there.
    """
    try:
        stored = _make(context, artifact)
    except NeedsPrefix:
        with context.database.write() as connection:
            images.needs_prefix(connection, artifact.build_id)
            artifacts.release(connection, artifact)
        return
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
        is_wanted = artifacts.finish(connection, artifact, size=stored.size, sha256=stored.sha256)
        if not is_wanted:
            artifacts.release(connection, artifact)
    if not is_wanted:
        _drop_if_deleted(context, artifact.id, stored)


def _drop_if_deleted(context: Context, artifact_id: int, stored: StoredBlob) -> None:
    """Somebody deleted the build while it was packed, and may not have seen the blob; what another maker has made of
    it may be kept."""
    with context.database.read() as connection:
        found = artifacts.get(connection, artifact_id)
        build = builds.get(connection, found.build_id) if found else None
    is_ready = found is not None and found.state is ArtifactState.READY
    if (build is None or build.deleted_on is not None) and not is_ready:
        context.blobs.delete(stored.key)


def _make(context: Context, artifact: ArtifactRecord) -> StoredBlob:
    with context.database.read() as connection:
        build = builds.get(connection, artifact.build_id)
    if build is None or build.lock_digest is None or build.deleted_on is not None:
        raise NotFound("the environment has been deleted")
    if artifact.type is ArtifactType.DOCKER_MANIFEST:
        with _passing_file(context, artifact) as file:
            is_zstd = artifact.key == image_key(build.key, Compression.ZSTD)
            return (make_zstd_image if is_zstd else make_image)(context, build, artifact.key, file)
    if artifact.type is ArtifactType.CONTAINER_REGISTRY:
        with _passing_file(context, artifact) as file:
            return push_image(context, build, artifact.key, file)
    if build.prefix is None:
        raise NotFound(f"build {build.id} is for images of another platform only")
    if artifact.type is ArtifactType.CONDA_PACK:
        return _archive(context, build, artifact)
    return _installer(context, build, artifact)


def packing_directory(context: Context) -> Path:
    """Where files are packed before the storage takes them over."""
    return context.deployment.store_directory / "%packing"


@contextmanager
def _passing_file(context: Context, artifact: ArtifactRecord) -> Iterator[Path]:
    """A path for a file or directory beside the environments; its name says who is at work on it."""
    directory = packing_directory(context)
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{artifact.id}-{artifact.attempt}-{uuid.uuid4().hex[:8]}"
    try:
        yield file
    finally:
        _remove(context, file)


def _remove(context: Context, path: Path) -> None:
    """A file at once, a directory when there is time."""
    if path.is_dir():
        set_aside(path, context.deployment.trash_directory)
    else:
        path.unlink(missing_ok=True)


def remove_abandoned_files(context: Context) -> int:
    """Remove what makers of artifacts left who were killed; how many files there were."""
    removed = 0
    for file in packing_directory(context).glob("*-*-*"):
        # what is being written of a file has its name, behind a dot
        artifact_id, attempt = file.name.removeprefix(".").split("-")[:2]
        with context.database.read() as connection:
            found = artifacts.get(connection, int(artifact_id))
        if found is None or found.state is not ArtifactState.MAKING or found.attempt != int(attempt):
            _remove(context, file)
            removed += 1
    return removed


def _archive(context: Context, build: BuildRecord, artifact: ArtifactRecord) -> StoredBlob:
    """Packed beside the environments, then taken over by the storage. `artifact` is what it is made for."""
    assert build.lock_digest is not None and build.prefix is not None
    with context.database.read() as connection:
        lock = locks.load(connection, build.lock_digest).on(current_platform())
    if lock is None:
        raise NotFound(f"the environment was not built for {current_platform()}")
    with _passing_file(context, artifact) as file:
        packed = write_archive(Path(build.prefix), lock, file)
        key = blob_key(ArtifactType.CONDA_PACK, build.key)
        return context.blobs.put_file(key, file, content_type(ArtifactType.CONDA_PACK), sha256=packed.sha256)


def _installer(context: Context, build: BuildRecord, artifact: ArtifactRecord) -> StoredBlob:
    """A script in front of the archive, which is made first where it is not there."""
    with context.database.read() as connection:
        archive = artifacts.find(connection, build.id, ArtifactType.CONDA_PACK)
    if archive is not None and archive.state is ArtifactState.READY and archive.sha256 is not None:
        packed = StoredBlob(archive.key, archive.size, archive.sha256)
    else:
        packed = _archive(context, build, artifact)
        if archive is not None:
            with context.database.write() as connection:
                is_wanted = artifacts.set_ready(connection, archive.id, size=packed.size, sha256=packed.sha256)
            if not is_wanted:
                _drop_if_deleted(context, archive.id, packed)
                raise NotFound("the environment has been deleted")
    chunks = installer_chunks(
        context.blobs.chunks(packed.key),
        name=build.environment,
        platform=current_platform(),
        archive_size=packed.size,
        archive_sha256=packed.sha256,
    )
    # through a file: a store cannot be read from while it is written to, its runtime is one
    digest = hashlib.sha256()
    with _passing_file(context, artifact) as file:
        with file.open("wb") as target:
            for chunk in chunks:
                digest.update(chunk)
                target.write(chunk)
        kind = content_type(ArtifactType.CONSTRUCTOR_INSTALLER)
        return context.blobs.put_file(artifact.key, file, kind, sha256=digest.hexdigest())
