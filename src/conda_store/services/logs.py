"""The log of a build that has ended becomes a blob."""

from __future__ import annotations

from conda_store.db import artifacts, builds, logs
from conda_store.domain.artifact import ArtifactType, blob_key, content_type
from conda_store.services.context import Context


def keep_log(context: Context, build_id: int) -> None:
    """Write the log as a blob and forget its chunks; safe to be done twice."""
    with context.database.read() as connection:
        build = builds.get(connection, build_id)
        text = logs.whole(connection, build_id)
    if build is None or not build.status.has_ended:
        return
    key = blob_key(ArtifactType.LOGS, build.key)
    stored = context.blobs.put(key, text.encode(), content_type(ArtifactType.LOGS))
    with context.database.write() as connection:
        if artifacts.find(connection, build_id, ArtifactType.LOGS) is None:
            artifacts.add(connection, build_id, ArtifactType.LOGS, key, size=stored.size, sha256=stored.sha256)
        logs.remove(connection, build_id)
