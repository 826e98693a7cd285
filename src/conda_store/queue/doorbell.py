"""How a worker learns that there may be something to do.

The database is the truth about what is to be done; a doorbell only says "look again". A ring that is lost, late or
doubled does no harm, since a worker looks from time to time anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from conda_store.queue.writes import Writes

_LISTENING = 0.2  # seconds between two questions where writes are heard of
_SOON = 0.002  # a write is heard of before it is committed
_REST = 0.02  # each ring makes somebody look


class Doorbell(Protocol):
    @property
    def interval(self) -> float:
        """Seconds after which `has_rung` wants to be asked again."""

    @property
    def descriptor(self) -> int | None:
        """Readable when `has_rung` should be asked before that; None where nothing tells."""

    def has_rung(self) -> bool:
        """Whether to look now."""


class PollingDoorbell:
    """Asks a cheap question (`changed`), and rings anyway after `at_least_every` seconds.

    It asks every `interval` seconds; where it hears of `writes`, when there was one, and `_REST` seconds after it rang.
    """

    def __init__(
        self,
        changed: Callable[[], bool],
        *,
        interval: float,
        at_least_every: float = 5.0,
        writes: Writes | None = None,
    ) -> None:
        self.interval = interval
        self._changed = changed
        self._at_least_every = at_least_every
        self._writes = writes
        self._last = float("-inf")
        self._rests_until = float("-inf")

    @property
    def descriptor(self) -> int | None:
        if self._writes is None or time.monotonic() < self._rests_until:
            return None
        return self._writes.descriptor

    def has_rung(self) -> bool:
        now = time.monotonic()
        has_heard = self._writes is not None and self._writes.forget()
        has_changed = self._changed()
        if self._writes is not None:
            self._rest(now, has_heard=has_heard, has_changed=has_changed)
        if has_changed or now - self._last >= self._at_least_every:
            self._last = now
            return True
        return False

    def _rest(self, now: float, *, has_heard: bool, has_changed: bool) -> None:
        """Until when to ask again: soon after a write that nothing has come of yet, then later and later."""
        if has_changed:
            self.interval, self._rests_until = _REST, now + _REST
        else:
            self.interval = _SOON if has_heard else min(2 * self.interval, _LISTENING)
