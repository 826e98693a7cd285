"""What a child process of the worker can be told to do. Everything here is sent through a pipe."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from conda_store.db.leases import Lease
from conda_store.db.records import ArtifactRecord


@dataclass(frozen=True)
class BuildJob:
    """`seconds` is how long it may take, None for as long as it does."""

    lease: Lease
    seconds: int | None = None


@dataclass(frozen=True)
class ArtifactJob:
    """`is_beside_build`: it is made while its own build is still installing."""

    artifact: ArtifactRecord
    is_beside_build: bool = False


class Chore(StrEnum):
    """Work that nobody waits for, one at a time."""

    CLEAR = "clear"
    TRASH = "trash"
    FINISH = "finish"
    INDEX = "index"
    TIDY = "tidy"


@dataclass(frozen=True)
class ChoreJob:
    chore: Chore


Job = BuildJob | ArtifactJob | ChoreJob
