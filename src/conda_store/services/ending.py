"""The end of an attempt at a build that has not completed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog

from conda_store.db import builds, leases, logs
from conda_store.db.environments import LinkChange
from conda_store.db.leases import Lease
from conda_store.db.records import BuildRecord
from conda_store.domain.build import BuildStatus, retry_delay
from conda_store.errors import BuildFailed, PrefixTooLong
from conda_store.services.builds import cancelled_text
from conda_store.services.clearing import discard_prefix
from conda_store.services.context import Context
from conda_store.services.reporting import stamp

logger = structlog.get_logger()


@dataclass(frozen=True)
class Outcome:
    """What came of a job: the symlinks that it set, and the `failure` that could not be written down."""

    activated: tuple[LinkChange, ...] = ()
    failure: BuildFailed | None = None


def give_up(context: Context, lease: Lease, failure: BuildFailed) -> None:
    """End an attempt: CANCELED where somebody asked for that; QUEUED again, for later, where another attempt may help
    and one is left; else FAILED with the reason.

    Without the lease nothing happens: whoever holds it now, or took it to end the build, has the say. The log stays in
    the database: the storage may be what failed, and a worker does not wait for it.

    Raises:
        Unavailable: it cannot be written down now; the lease is held as before.
    """
    if not _clear_up(context, lease):
        return
    delay: timedelta | None = None
    if failure.transient:
        deployment = context.deployment
        delay = retry_delay(lease.attempt, deployment.max_attempts, deployment.first_retry_delay)
    with context.database.write() as connection:
        if leases.standing(connection, lease).is_cancelled:
            delay = None
            held = leases.end(connection, lease, BuildStatus.CANCELED, "canceled while it was building")
            text = cancelled_text(lease.build_id)
        elif delay is not None:
            seconds = f"{delay.total_seconds():g} s"
            held = leases.queue_again(connection, lease, delay, f"{failure.message} (trying again in {seconds})")
            text = f"{failure}\nattempt {lease.attempt} failed, trying again in {seconds}\n"
        else:
            # of a prefix that is too long the message alone is what programs look for
            reason = failure.message if isinstance(failure, PrefixTooLong) else str(failure)
            held = leases.end(connection, lease, BuildStatus.FAILED, reason)
            text = f"{failure}\nbuild failed {stamp()}\n"
        if held:
            logs.append(connection, lease.build_id, text)


def give_back(context: Context, lease: Lease) -> None:
    """Let another worker build it: this one is told to stop. It does not count as an attempt."""
    if not _clear_up(context, lease):
        return
    with context.database.write() as connection:
        if not leases.standing(connection, lease).is_cancelled:
            leases.release(connection, lease)
            return
        if leases.end(connection, lease, BuildStatus.CANCELED, "canceled while it was building"):
            logs.append(connection, lease.build_id, cancelled_text(lease.build_id))


def _clear_up(context: Context, lease: Lease) -> bool:
    """Take away what the attempt has left: also of earlier ones, and the prefix, as long as nobody else can have begun
    another. Whether it was ours."""
    with context.database.read() as connection:
        standing = leases.standing(connection, lease)
        build = builds.get(connection, lease.build_id)
    if build is not None:
        discard_if_possible(context, build, None if standing.is_held else lease.attempt)
    return standing.is_held


def discard_if_possible(context: Context, build: BuildRecord, attempt: int | None = None) -> None:
    """What cannot be taken away is told, and keeps no build from its end; see `discard_prefix`."""
    try:
        discard_prefix(context, build, attempt)
    except OSError as error:
        logger.error("leftovers of a build cannot be taken away", build_id=build.id, error=str(error))
