"""What a build that has ended is to have in the storage: its log, and nothing that an attempt left behind."""

from __future__ import annotations

import structlog

from conda_store.db import artifacts, builds, logs
from conda_store.domain.artifact import ArtifactType, blob_key, content_type
from conda_store.domain.build import BuildStatus
from conda_store.errors import CondaStoreError
from conda_store.services.clearing import delete_unrecorded
from conda_store.services.context import Context

logger = structlog.get_logger()


def keep_log(context: Context, build_id: int) -> None:
    """Write the log as a blob and forget its chunks; safe to be done twice, by several at once. Of a build that has not
    completed, blobs that could not be written down are removed before."""
    with context.database.read() as connection:
        build = builds.get(connection, build_id)
        chunks = logs.after(connection, build_id, 0)
        kept = artifacts.find(connection, build_id, ArtifactType.LOGS)
    if build is None or not build.status.has_ended or not chunks:
        return
    if build.status is not BuildStatus.COMPLETED:
        delete_unrecorded(context, build)
    text = "".join(chunk.text for chunk in chunks)
    if kept is not None:  # these came late
        text = context.blobs.get(kept.key).decode(errors="replace") + text
    key = blob_key(ArtifactType.LOGS, build.key)
    stored = context.blobs.put(key, text.encode(), content_type(ArtifactType.LOGS))
    with context.database.write() as connection:
        if logs.remove(connection, build_id, through=chunks[-1].sequence):
            artifacts.add(connection, build_id, ArtifactType.LOGS, key, size=stored.size, sha256=stored.sha256)
        elif artifacts.find(connection, build_id, ArtifactType.LOGS) is None:
            context.blobs.delete(key)  # the build was cleared up meanwhile, its log as well


def keep_log_if_possible(context: Context, build_id: int) -> None:
    """What cannot be written now is written by a worker that tidies up (see `housekeeping.tidy_ended`)."""
    try:
        keep_log(context, build_id)
    except (CondaStoreError, OSError) as error:
        logger.warning("log cannot be kept yet", build_id=build_id, error=str(error))
