"""What has to be done beside builds: lost workers, symlinks, deleted things, old results."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog

from conda_store.builder.removal import empty_trash
from conda_store.db import artifacts, builds, environments, leases, locks, logs
from conda_store.db.environments import LinkChange
from conda_store.db.leases import Lease
from conda_store.db.records import ArtifactRecord
from conda_store.domain.build import BuildStatus
from conda_store.errors import Interrupted
from conda_store.services.auditing import forget_old
from conda_store.services.clearing import purge_deleted
from conda_store.services.context import Context
from conda_store.services.ending import discard_if_possible, give_up
from conda_store.services.image_making import sweep
from conda_store.services.links import update_links
from conda_store.services.logs import keep_log
from conda_store.services.packing import remove_abandoned_files
from conda_store.services.temporary_files import clear_temporary_files

logger = structlog.get_logger()

_SHORTEST_WAIT = 0.05
_SOLVES_ARE_KEPT = timedelta(days=7)
_DEBRIS_IS_OLD = timedelta(hours=1)


def recover_expired(context: Context) -> None:
    """Take up the builds and artifacts that nobody renews the lease of."""
    with context.database.read() as connection:
        found = [lease for lease, _ in leases.expired(connection)]
        lost = artifacts.expired(connection)
    for lease in found:
        logger.warning("lease has run out", build_id=lease.build_id, owner=lease.owner)
        _recover_build(context, lease, "the worker that built it was lost", is_expired=True)
    for artifact in lost:
        logger.warning("lease has run out", artifact_id=artifact.id, owner=artifact.owner)
        _recover_artifact(context, artifact, "the worker that made it was lost", is_expired=True)


def recover_of_this_host(context: Context, prefix: str) -> None:
    """Take up what workers on this machine were at that are no longer running, without waiting for their lease.

    To be called before this process is at anything itself.
    """
    with context.database.read() as connection:
        found = [lease for lease, _ in leases.owned_by_host(connection, prefix)]
        lost = artifacts.owned_by_host(connection, prefix)
    for lease in found:
        if not _is_running(lease.owner):
            _recover_build(context, lease, "the worker that built it was stopped", is_expired=False)
    for artifact in lost:
        if artifact.owner is None or not _is_running(artifact.owner):
            _recover_artifact(context, artifact, "the worker that made it was stopped", is_expired=False)


def _recover_build(context: Context, lease: Lease, reason: str, *, is_expired: bool) -> None:
    """Taken over first, so that of several who noticed one acts, and none for a worker that renewed meanwhile."""
    with _apart("lost build cannot be taken up", build_id=lease.build_id):
        with context.database.write() as connection:
            owner = owner_name(uuid.uuid4().hex[:8])
            ours = leases.seize(connection, lease, owner, context.deployment.lease, is_expired=is_expired)
        if ours is not None:
            give_up(context, ours, Interrupted(reason))


def _recover_artifact(context: Context, artifact: ArtifactRecord, reason: str, *, is_expired: bool) -> None:
    with _apart("lost artifact cannot be taken up", artifact_id=artifact.id):
        end_lost_artifact(context, artifact, reason, is_expired=is_expired)


def end_lost_artifact(context: Context, artifact: ArtifactRecord, reason: str, *, is_expired: bool = False) -> None:
    """An artifact whose maker is gone: made again, or FAILED after as many attempts as a build has."""
    with context.database.write() as connection:
        artifacts.lose(connection, artifact, reason, context.deployment.max_attempts, is_expired=is_expired)
    remove_abandoned_files(context)


def has_untidied(context: Context, at_work: Collection[int]) -> bool:
    """Whether there are builds for `tidy_ended`, besides those (ids) that somebody is still at."""
    with context.database.read() as connection:
        return not set(logs.of_ended_builds(connection)).issubset(at_work)


async def tidy_ended(context: Context) -> None:
    """Do what is left to be done after the end of a build: to set its files aside, and to keep its log."""
    with context.database.read() as connection:
        ended = [builds.get(connection, build_id) for build_id in logs.of_ended_builds(connection)]
    for build in ended:
        if build is None:
            continue
        with _apart("ended build cannot be tidied", build_id=build.id):
            if build.status is not BuildStatus.COMPLETED:
                discard_if_possible(context, build)
            keep_log(context, build.id)


@contextmanager
def _apart(what: str, **values: object) -> Iterator[None]:
    """What fails for one is logged and keeps nobody from the others."""
    try:
        yield
    except Exception:
        logger.exception(what, **values)


def owner_name(instance: str) -> str:
    """Who holds a lease: host, process id and a random part, since process ids come again."""
    return f"{host_prefix()}{os.getpid()}:{instance}"


def host_prefix() -> str:
    return f"{socket.gethostname()}:"


def _is_running(owner: str) -> bool:
    """Whether another process has the number; a container's worker often gets that of the one before."""
    try:
        number = int(owner.split(":")[1])
        if number == os.getpid():
            return False
        os.kill(number, 0)
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


async def clear(context: Context) -> tuple[LinkChange, ...]:
    """Remove the files of what was deleted. Returns which symlinks were changed before."""
    changed = update_links(context)
    purge_deleted(context)
    return changed


async def tidy(context: Context) -> None:
    """Remove what killed processes left beside the environments, in the storage and in the package cache, and what
    nobody uses any more: layers, packages, old results of solves."""
    with context.database.write() as connection:
        locks.forget_solves(connection, _SOLVES_ARE_KEPT)
    removed = remove_abandoned_files(context) + context.blobs.remove_debris(_DEBRIS_IS_OLD)
    removed += clear_temporary_files(context.deployment)
    if swept := sweep(context):
        logger.info("unused layers removed", count=swept)
    forget_old(context)
    removed += await context.builder.tidy()
    if removed:
        logger.info("leftovers removed", count=removed)


async def take_out_trash(context: Context) -> None:
    """Delete what was set aside, slowly; may be interrupted at any time."""
    await empty_trash(context.deployment.trash_directory)
