"""What monitoring asks for. The numbers are open to everybody who reaches the service, so they name nothing."""

from __future__ import annotations

import shutil
from datetime import datetime

from conda_store.db import builds, environments, overview
from conda_store.db.overview import DayOfBuilds
from conda_store.domain.access import Actor, Permission, Target
from conda_store.services.context import Context


def numbers(context: Context) -> dict[str, int]:
    """Disk in bytes; builds by status, only those that occur; environments."""
    directory = context.deployment.store_directory
    while not directory.exists():
        directory = directory.parent
    usage = shutil.disk_usage(directory)
    with context.database.read() as connection:
        by_status = builds.count_by_status(connection)
        count = environments.count(connection)
    disk = {"disk_free": usage.free, "disk_total": usage.total, "disk_usage": usage.used}
    return (
        disk | {f"build_{status.lower()}": by_status[status] for status in sorted(by_status)} | {"environments": count}
    )


def working(context: Context, actor: Actor) -> dict[str, tuple[int, ...]]:
    """The builds that each worker is at, by the worker's name, in its order.

    Who may not read the deployment's settings learns no names of machines: to them they are `worker 1` and so on.
    """
    is_told = actor.may(Permission.SETTING_READ, Target())
    with context.database.read() as connection:
        found = sorted(builds.by_owner(connection).items())
    return {owner if is_told else f"worker {number}": ids for number, (owner, ids) in enumerate(found, start=1)}


def builds_by_day(context: Context, since: datetime) -> tuple[DayOfBuilds, ...]:
    with context.database.read() as connection:
        return overview.builds_by_day(connection, since)


def waiting_since(context: Context) -> datetime | None:
    """When the build that waits longest was submitted; None where none waits."""
    with context.database.read() as connection:
        return overview.oldest_waiting(connection)
