"""Waiting for something to happen, but not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

# seconds: a bound for whatever ends by itself, however busy the machine; nobody waits for so long where things go well
PATIENCE = 120.0
Value = TypeVar("Value")


def wait_for(what: str, get: Callable[[], Value | None], seconds: float = PATIENCE) -> Value:
    """The first value of `get` that is true.

    Raises:
        AssertionError: there was none in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := get():
            return value
        time.sleep(0.005)
    raise AssertionError(f"{what}: not within {seconds:g} s")
