"""A build: its states, its key, its progress, and when it is tried again."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any


class BuildStatus(StrEnum):
    """QUEUED → BUILDING → one of the others, for good; from BUILDING back to QUEUED when the worker was lost or the
    failure is transient, and attempts are left; from QUEUED to CANCELED as well. Only `db.leases` moves builds."""

    QUEUED = "QUEUED"
    BUILDING = "BUILDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"

    @property
    def has_ended(self) -> bool:
        return self in {BuildStatus.COMPLETED, BuildStatus.FAILED, BuildStatus.CANCELED}


class BuildOrigin(StrEnum):
    """How a build came to be."""

    SUBMITTED = "submitted"
    REBUILT = "rebuilt"
    WATCHED = "watched"
    ON_DEMAND = "on demand"


class Phase(StrEnum):
    """What a build is doing, in this order."""

    QUEUED = "queued"
    SOLVING = "solving"
    DOWNLOADING = "downloading"
    LINKING = "linking"
    PIP = "pip"
    FINISHING = "finishing"
    ENDED = "ended"


REMAINING_TOLD = 12


@dataclass(frozen=True)
class Progress:
    """Packages and bytes done and in all; 0 in all where it is not known yet.

    `packages_linked` are those that are in place, `remaining` the names of the next that are not, `REMAINING_TOLD` at
    most.
    """

    phase: Phase = Phase.QUEUED
    packages_done: int = 0
    packages_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    packages_linked: int = 0
    remaining: tuple[str, ...] = ()

    def dump(self) -> dict[str, Any]:
        return asdict(self) | {"remaining": list(self.remaining)}


def retry_delay(attempt: int, max_attempts: int, first_delay: timedelta) -> timedelta | None:
    """How long to wait after the failed attempt number `attempt` (1 is the first), None when it was the last."""
    if attempt >= max_attempts:
        return None
    return first_delay * int(2 ** (attempt - 1))


# --- build keys: the name of a build in paths and blob keys -------------------------------------------------

MAX_PREFIX_LENGTH = 255


def build_key(version: int, *, sha256: str, scheduled_on: datetime, build_id: int, name: str, namespace: str) -> str:
    """The key of a build.

    1: `<sha256>-<YYYYMMDD-HHMMSS-microseconds>-<id>-<name>`, 2: `<8 of sha256>-<unix seconds>-<id>-<name>`,
    3: 32 hexadecimal digits of a hash over namespace, sha256, seconds and id. Times are UTC.
    """
    moment = scheduled_on if scheduled_on.tzinfo else scheduled_on.replace(tzinfo=UTC)
    seconds = int(moment.timestamp())
    if version == 1:
        stamp = moment.astimezone(UTC).strftime("%Y%m%d-%H%M%S-%f")
        return f"{sha256}-{stamp}-{build_id}-{name}"
    if version == 2:
        return f"{sha256[:8]}-{seconds}-{build_id}-{name}"
    if version == 3:
        return hashlib.sha256(f"{namespace}{sha256}{seconds}{build_id}".encode()).hexdigest()[:32]
    raise ValueError(f"build key version {version} is not 1, 2 or 3")
