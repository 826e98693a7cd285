"""What rattler raises, told apart from everything else.

A bug in rattler surfaces as `PanicException`, which is no `Exception`; it must end a build, not the worker.
"""

from __future__ import annotations

import asyncio

from conda_store.builder.failures import redacted
from conda_store.errors import CondaStoreError


def is_from_rattler(error: BaseException) -> bool:
    """Neither ours, nor a request to stop."""
    stop = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, TimeoutError, CondaStoreError)
    return not isinstance(error, stop)


def described(error: BaseException) -> str:
    """The error's own words: no credentials, every line once."""
    if type(error).__name__ == "PanicException":
        return f"rattler stopped unexpectedly: {redacted(str(error)).splitlines()[0] if str(error) else 'no reason'}"
    lines = dict.fromkeys(line.strip() for line in redacted(str(error)).splitlines() if line.strip())
    return "\n".join(lines) or type(error).__name__
