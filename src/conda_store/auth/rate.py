"""How often something may be tried, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class RateLimit:
    """A bucket for each key: `burst` tries at once, one more every `seconds / burst`.

    The keys that were not used for longest are forgotten first, so that memory stays bounded.
    """

    def __init__(
        self, burst: int, seconds: float, *, keys: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst, self._interval, self._keys, self._clock = burst, seconds / burst, keys, clock
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, key: str) -> float:
        """Seconds until the key may try again; 0 where it may now."""
        with self._lock:
            return self._wait(key, self._clock())

    def take(self, key: str) -> float:
        """Count a try; 0, or the seconds to wait where there are none left: then it does not count."""
        with self._lock:
            now = self._clock()
            if wait := self._wait(key, now):
                return wait
            self._full_at[key] = max(self._full_at.get(key, now), now) + self._interval
            self._full_at.move_to_end(key)
            while len(self._full_at) > self._keys:
                self._full_at.popitem(last=False)
            return 0.0

    def give_back(self, key: str) -> None:
        """A try that was counted does not count."""
        with self._lock:
            if key in self._full_at:
                self._full_at[key] -= self._interval

    def _wait(self, key: str, now: float) -> float:
        return max(0.0, self._full_at.get(key, now) - now - (self._burst - 1) * self._interval)
