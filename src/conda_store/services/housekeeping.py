"""What has to be done beside builds: lost workers, symlinks, deleted things, old results."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from datetime import timedelta

import structlog

from conda_store.builder.removal import empty_trash
from conda_store.db import artifacts, builds, environments, leases, locks, logs
from conda_store.db.leases import Lease
from conda_store.db.records import ArtifactRecord, BuildRecord
from conda_store.domain.build import BuildStatus
from conda_store.errors import Interrupted
from conda_store.services.builds import cancelled_text
from conda_store.services.clearing import discard_prefix, purge_deleted
from conda_store.services.context import Context
from conda_store.services.logs import keep_log
from conda_store.services.packing import remove_abandoned_files
from conda_store.services.run_build import give_up

logger = structlog.get_logger()

_SHORTEST_WAIT = 0.05
_SOLVES_ARE_KEPT = timedelta(days=7)
_DEBRIS_IS_OLD = timedelta(hours=1)


def end_cancelled(context: Context, lease: Lease) -> None:
    """A build whose process has been ended because somebody cancelled it: CANCELED, and nothing left of it."""
    with context.database.write() as connection:
        build = builds.get(connection, lease.build_id)
        held = leases.end(connection, lease, BuildStatus.CANCELED, "canceled while it was building")
        if held:
            logs.append(connection, lease.build_id, cancelled_text(lease.build_id))
    if held and build is not None:
        discard_prefix(context, build)
        keep_log(context, lease.build_id)


def end_interrupted(context: Context, lease: Lease, build: BuildRecord | None, reason: str) -> None:
    """A build whose process is gone: cancelled if that was wanted, else tried again or FAILED."""
    if build is not None and build.cancel_requested:
        end_cancelled(context, lease)
    else:
        give_up(context, lease, Interrupted(reason))


def recover_expired(context: Context) -> None:
    """Take up the builds and artifacts that nobody renews the lease of."""
    with context.database.read() as connection:
        found = leases.expired(connection)
        lost = artifacts.expired(connection)
    for lease, build in found:
        logger.warning("lease has run out", build_id=lease.build_id, owner=lease.owner)
        end_interrupted(context, lease, build, "the worker that built it was lost")
    for artifact in lost:
        logger.warning("lease has run out", artifact_id=artifact.id, owner=artifact.owner)
        end_lost_artifact(context, artifact, "the worker that made it was lost")


def end_lost_artifact(context: Context, artifact: ArtifactRecord, reason: str) -> None:
    """An artifact whose maker is gone: made again, or FAILED after as many attempts as a build has."""
    with context.database.write() as connection:
        artifacts.lose(connection, artifact, reason, context.deployment.max_attempts)
    remove_abandoned_files(context)


def tidy_ended(context: Context) -> None:
    """Finish what a worker that was lost right after the end of a build has left undone: files and log."""
    with context.database.read() as connection:
        ended = [builds.get(connection, build_id) for build_id in logs.of_ended_builds(connection)]
    for build in ended:
        if build is None:
            continue
        if build.status is not BuildStatus.COMPLETED:
            discard_prefix(context, build)
        keep_log(context, build.id)


def recover_of_this_host(context: Context, prefix: str) -> None:
    """Take up what workers on this machine were at that are no longer running, without waiting for their lease."""
    with context.database.read() as connection:
        found = leases.owned_by_host(connection, prefix)
        lost = artifacts.owned_by_host(connection, prefix)
    for lease, build in found:
        if not _is_running(lease.owner):
            end_interrupted(context, lease, build, "the worker that built it was stopped")
    for artifact in lost:
        if artifact.owner is None or not _is_running(artifact.owner):
            end_lost_artifact(context, artifact, "the worker that made it was stopped")


def owner_name(instance: str) -> str:
    """Who holds a lease: host, process id and a random part, since process ids come again."""
    return f"{host_prefix()}{os.getpid()}:{instance}"


def host_prefix() -> str:
    return f"{socket.gethostname()}:"


def _is_running(owner: str) -> bool:
    try:
        os.kill(int(owner.split(":")[1]), 0)
    except (ProcessLookupError, ValueError, IndexError):
        return False
    except PermissionError:
        return True
    return True


def next_moment(context: Context) -> float:
    """When something will be due by itself, in unix seconds; infinity when nothing will."""
    with context.database.read() as connection:
        moment = leases.next_moment(connection)
    return float("inf") if moment is None else max(moment, time.time() + _SHORTEST_WAIT)


@dataclass(frozen=True)
class Waiting:
    """What there is to do."""

    builds: bool
    artifacts: bool
    deletions: bool
    links: bool
    trash: bool


def look(context: Context) -> Waiting:
    """What waits for a worker: one read."""
    with context.database.read() as connection:
        return Waiting(
            builds=leases.has_due(connection),
            artifacts=artifacts.has_requested(connection),
            deletions=builds.has_deleted(connection),
            links=bool(environments.links_to_change(connection)),
            trash=_has_trash(context),
        )


def _has_trash(context: Context) -> bool:
    try:
        with os.scandir(context.deployment.trash_directory) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False


async def clear(context: Context) -> None:
    """Remove the files of what was deleted, and old results of solves."""
    while purge_deleted(context):
        pass
    with context.database.write() as connection:
        locks.forget_solves(connection, _SOLVES_ARE_KEPT)


async def tidy(context: Context) -> None:
    """Remove what killed processes left beside the environments, in the storage and in the package cache."""
    removed = remove_abandoned_files(context) + context.blobs.remove_debris(_DEBRIS_IS_OLD)
    removed += await context.builder.tidy()
    if removed:
        logger.info("leftovers removed", count=removed)


async def take_out_trash(context: Context) -> None:
    """Delete what was set aside, slowly; may be interrupted at any time."""
    await empty_trash(context.deployment.trash_directory)
