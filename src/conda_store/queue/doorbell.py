"""How a worker learns that there may be something to do.

The database is the truth about what is to be done; a doorbell only says "look again". A ring that is lost, late or
doubled does no harm, since a worker looks from time to time anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Doorbell(Protocol):
    @property
    def interval(self) -> float:
        """Seconds after which `has_rung` wants to be asked again."""

    def has_rung(self) -> bool:
        """Whether to look now."""


class PollingDoorbell:
    """Asks a cheap question (`changed`) at a short interval, and rings anyway after `at_least_every` seconds."""

    def __init__(self, changed: Callable[[], bool], *, interval: float, at_least_every: float = 5.0) -> None:
        self.interval = interval
        self._changed = changed
        self._at_least_every = at_least_every
        self._last = float("-inf")

    def has_rung(self) -> bool:
        now = time.monotonic()
        if self._changed() or now - self._last >= self._at_least_every:
            self._last = now
            return True
        return False
