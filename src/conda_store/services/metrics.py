"""What monitoring asks for. The numbers are open to everybody who reaches the service, so they name nothing."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from conda_store.db import builds, environments, overview
from conda_store.db.overview import DayOfBuilds, Wait
from conda_store.domain.access import Actor, Target
from conda_store.domain.roles import Permission
from conda_store.services.context import Context


def disk(context: Context) -> dict[str, int]:
    """Of the disk that builds are on, in bytes."""
    directory = context.deployment.store_directory
    while not directory.exists():
        directory = directory.parent
    usage = shutil.disk_usage(directory)
    return {"disk_free": usage.free, "disk_total": usage.total, "disk_usage": usage.used}


def numbers(context: Context) -> dict[str, int]:
    """Disk in bytes; builds by status, only those that occur; environments."""
    with context.database.read() as connection:
        by_status = builds.count_by_status(connection)
        count = environments.count(connection)
    return (
        disk(context)
        | {f"build_{status.lower()}": by_status[status] for status in sorted(by_status)}
        | {"environments": count}
    )


def working(context: Context, actor: Actor) -> dict[str, tuple[int, ...]]:
    """The builds that each worker is at, by the worker's name, in its order.

    Who may not read the deployment's settings learns no names of machines: to them they are `worker 1` and so on.
    """
    is_told = actor.may(Permission.SETTING_READ, Target())
    with context.database.read() as connection:
        found = sorted(builds.by_owner(connection).items())
    return {owner if is_told else f"worker {number}": ids for number, (owner, ids) in enumerate(found, start=1)}


@dataclass(frozen=True)
class Figures:
    """What is summed up over everything; `held` are the bytes of each namespace."""

    numbers: dict[str, int]
    held: dict[str, int]
    days: tuple[DayOfBuilds, ...]
    waits: tuple[Wait, ...]
    moment: datetime

    def held_for(self, actor: Actor) -> dict[str, int]:
        """Of the namespaces that the actor may look at as a whole."""
        return {name: size for name, size in self.held.items() if actor.may(Permission.NAMESPACE_READ, Target(name))}


# times as long as summing up took, which so never takes more than a hundredth of a processor
_WORTH = 100
_LONGEST_KEPT = timedelta(seconds=10)


class KeptFigures:
    """Figures that are at most ten seconds old: summing up 100,000 builds takes 40 ms. Those of few are always new."""

    def __init__(self, context: Context, days: timedelta, hours: timedelta) -> None:
        self._context = context
        self._days = days
        self._hours = hours
        self._kept: Figures | None = None
        self._until = datetime.now(UTC)

    def get(self) -> Figures:
        now = datetime.now(UTC)
        if self._kept is None or now >= self._until:
            with self._context.database.read() as connection:
                held = overview.bytes_by_namespace(connection)
                days = overview.builds_by_day(connection, now - self._days)
                waits = overview.waits(connection, now - self._hours)
            self._kept = Figures(numbers(self._context), held, days, waits, now)
            done = datetime.now(UTC)
            self._until = done + min((done - now) * _WORTH, _LONGEST_KEPT)
        return self._kept


def waiting_since(context: Context) -> datetime | None:
    """When the build that waits longest was submitted; None where none waits."""
    with context.database.read() as connection:
        return overview.oldest_waiting(connection)
