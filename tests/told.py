"""What is logged while something is done."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog


@contextmanager
def logged() -> Iterator[list[Any]]:
    """Warnings and worse, whatever other tests of this process have the log filtered to."""
    before = structlog.get_config()
    capture = structlog.testing.LogCapture()
    structlog.configure(processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield capture.entries
    finally:
        structlog.configure(**before)
