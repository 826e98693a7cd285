"""Telling an operator's hook that an environment has another active build."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import structlog

from conda_store.db import environments
from conda_store.db.engine import Database
from conda_store.db.records import EnvironmentRecord

logger = structlog.get_logger()

_STOP_SECONDS = 5.0

Hook = Callable[[EnvironmentRecord], object]


class Announcer:
    """Calls `hook` in a thread of its own, one call after the other: however long it takes, or if it fails, the
    worker goes on."""

    def __init__(self, database: Database, hook: Hook) -> None:
        self._database = database
        self._hook = hook
        self._names: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True, name="announcer")
        self._thread.start()

    def announce(self, namespace: str, name: str) -> None:
        self._names.put((namespace, name))

    def close(self) -> None:
        """Wait some seconds for the calls that are still to be made."""
        self._names.put(None)
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while (names := self._names.get()) is not None:
            try:
                with self._database.read() as connection:
                    environment = environments.find(connection, *names)
                if environment is not None:
                    self._hook(environment)
            except Exception:
                logger.exception("post_update_environment_build_hook failed", namespace=names[0], environment=names[1])
