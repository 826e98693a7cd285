"""Getting rid of files: renamed away at once, deleted when there is time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from conda_store.builder.removal import set_aside
from conda_store.db import artifacts, builds, images, logs
from conda_store.db.builds import DeletedBuild
from conda_store.db.engine import Connection
from conda_store.db.records import BuildRecord
from conda_store.domain.artifact import BLOBS, MADE_OF_LOCK, ArtifactType, blob_key
from conda_store.errors import CondaStoreError
from conda_store.services.auditing import by_itself
from conda_store.services.context import Context
from conda_store.services.links import remove_unrecorded, update_links
from conda_store.services.settings import effective_settings

logger = structlog.get_logger()


def discard_prefix(context: Context, build: BuildRecord, attempt: int | None = None) -> None:
    """Take away whatever attempts at this build have left: its prefix and its staging directories. Of a single
    `attempt` its staging directory, which nobody else uses."""
    prefix = context.deployment.prefix(build.namespace, build.key)
    if attempt is not None:
        found = [context.deployment.staging(prefix, attempt)]
    else:
        found = [prefix, *(context.deployment.staging(prefix, number) for number in range(1, build.attempt + 1))]
        if build.prefix and Path(build.prefix) != prefix:
            found.append(Path(build.prefix))
    for path in found:
        set_aside(path, context.deployment.trash_directory)


def delete_unrecorded(context: Context, build: BuildRecord) -> None:
    """Remove the blobs that an attempt had stored when it ended before it could write them down."""
    with context.database.read() as connection:
        known = {item.key for item in artifacts.of_build(connection, build.id)}
    for key in (blob_key(kind, build.key) for kind in MADE_OF_LOCK):
        if key not in known:
            context.blobs.delete(key)


def purge_deleted(context: Context) -> None:
    """Remove the files of deleted builds, environments and namespaces; what cannot be removed is left for later."""
    update_links(context)
    last = 0
    while True:
        with context.database.read() as connection:
            doomed = builds.to_purge(connection, last)
        if not doomed:
            break
        for item in doomed:
            try:
                _purge(context, item)
            except (CondaStoreError, OSError) as error:
                logger.error("deleted build cannot be cleared up", build_id=item.build.id, error=str(error))
        last = doomed[-1].build.id
    with by_itself() as note, context.database.write() as connection:
        _remove_emptied(connection, note)


def _purge(context: Context, doomed: DeletedBuild) -> None:
    build = doomed.build
    kept: tuple[str, ...] = ()
    if not doomed.is_environment_deleted:
        kept = effective_settings(context.database, context.deployment).build_artifacts_kept_on_deletion
    discard_prefix(context, build)
    with context.database.read() as connection:
        found = artifacts.of_build(connection, build.id)
    for kind in BLOBS:
        if kind not in kept:
            # also where it was stored and could not be written down
            context.blobs.delete(blob_key(kind, build.key))
    removed = [item for item in found if item.type not in kept or item.type not in BLOBS]
    with by_itself() as note, context.database.write() as connection:
        if not builds.hold(connection, build.id) or artifacts.of_build(connection, build.id) != found:
            return  # cleared up by another worker, or to be looked at again
        remove_unrecorded(context, build)
        artifacts.remove(connection, [item.id for item in removed])
        images.remove(connection, build.id)
        if ArtifactType.LOGS not in kept:
            logs.remove(connection, build.id)
        builds.set_purged(connection, build.id, datetime.now(UTC))
        note("build::purge", build.namespace, build.environment, detail=f"build {build.id}")
        # with the last of its builds: afterwards nobody would look for it
        _remove_emptied(connection, note, build.environment_id)


def _remove_emptied(connection: Connection, note: Callable[..., None], environment_id: int | None = None) -> None:
    for namespace, environment in builds.remove_emptied(connection, environment_id):
        note(f"{'environment' if environment else 'namespace'}::purge", namespace, environment)
