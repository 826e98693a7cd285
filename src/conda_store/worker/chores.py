"""When what has to be done beside builds is done: one chore at a time, those that slow builds when nothing is built."""

from __future__ import annotations

import time
from collections.abc import Callable

from conda_store.services.housekeeping import Waiting
from conda_store.worker.jobs import Chore

FIRST_SECONDS = 5.0
INDEX_SECONDS = 900.0
CLEAR_SECONDS = 1.0  # what cannot be cleared away must not keep us busy
FINISH_SECONDS = 5.0
TIDY_SECONDS = 3600.0
PUT_OFF_SECONDS = 60.0
OVERDUE_SECONDS = 600.0  # where something is always being built, disks must not fill


class Chores:
    """Which chore is next. `clock` tells seconds."""

    def __init__(self, *, indexes_channels: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_index = clock() + FIRST_SECONDS if indexes_channels else float("inf")
        self._next_tidy = clock() + FIRST_SECONDS
        self._next_clear = self._next_finish = 0.0
        self._put_off_since: dict[Chore, float] = {}

    def next(self, waiting: Waiting, *, is_busy: bool, has_untidied: Callable[[], bool]) -> Chore | None:
        """The chore to be begun now; None when there is none. `is_busy`: something is built or packed; `has_untidied`:
        whether builds have ended about which something is left to be done."""
        now = self._clock()
        if waiting.deletions and now >= self._next_clear:
            self._next_clear = now + CLEAR_SECONDS
            return Chore.CLEAR
        if now >= self._next_finish:
            # what cannot be done is tried again later, so that it does not keep us from other chores
            self._next_finish = now + FINISH_SECONDS
            if has_untidied():
                return Chore.FINISH
        if now >= self._next_tidy and self._may_begin(Chore.TIDY, is_busy=is_busy):
            self._next_tidy = now + TIDY_SECONDS
            return Chore.TIDY
        if now >= self._next_index:
            self._next_index = now + INDEX_SECONDS
            return Chore.INDEX
        if waiting.trash and self._may_begin(Chore.TRASH, is_busy=is_busy):
            return Chore.TRASH
        return None

    def _may_begin(self, chore: Chore, *, is_busy: bool) -> bool:
        """Deleting beside creating makes creating slow: it waits until nothing is built, but not for ever."""
        self._put_off_since.setdefault(chore, self._clock())
        return not is_busy or self._is_overdue(chore)

    def _is_overdue(self, chore: Chore) -> bool:
        return self._clock() - self._put_off_since.get(chore, float("inf")) >= OVERDUE_SECONDS

    def makes_room(self, chore: Chore) -> bool:
        """Whether a chore that is being done is broken off for a build, to be done later."""
        if chore not in {Chore.TRASH, Chore.TIDY} or self._is_overdue(chore):
            return False
        if chore is Chore.TIDY:
            self._next_tidy = self._clock() + PUT_OFF_SECONDS
        return True

    def done(self, chore: Chore) -> None:
        self._put_off_since.pop(chore, None)
