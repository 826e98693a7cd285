"""Who has the specification of an environment open for changing: so that two of them hear of each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PRESENT_SECONDS = 120.0


class Editors:
    """Kept in memory, for a few minutes: a hint to people. What keeps builds from overwriting each other unseen is the
    number of the newest build that came with the form."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # environment -> who (identity) -> name and when their page was heard of last
        self._seen: dict[tuple[str, str], dict[str, tuple[str, float]]] = {}

    def note(self, environment: tuple[str, str], identity: str, name: str) -> tuple[str, ...]:
        """Somebody has it open; the names of the others who have."""
        now = self._clock()
        with self._lock:
            self._forget(now)
            seen = self._seen.setdefault(environment, {})
            seen[identity] = (name, now)
            return tuple(sorted({other for key, (other, _) in seen.items() if key != identity}))

    def leave(self, environment: tuple[str, str], identity: str) -> None:
        """They have handed it in."""
        with self._lock:
            self._seen.get(environment, {}).pop(identity, None)

    def _forget(self, now: float) -> None:
        for environment, seen in list(self._seen.items()):
            for identity in [key for key, (_, moment) in seen.items() if now - moment > PRESENT_SECONDS]:
                del seen[identity]
            if not seen:
                del self._seen[environment]
