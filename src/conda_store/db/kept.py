"""Counts and sums that are kept as long as nothing is committed to the database: they are never out of date."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sqlalchemy import Connection

Value = TypeVar("Value")

_MOST = 500
_OPTION = "kept"


class Kept:
    """What was found in one state of the database, by what was asked. It is forgotten when there is another state."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: Hashable = None
        self._values: dict[Hashable, Any] = {}

    def get(self, state: Hashable, question: Hashable, find: Callable[[], Value]) -> Value:
        with self._lock:
            if state != self._state:
                self._state, self._values = state, {}
            values = self._values
            if question in values:
                known: Value = values[question]
                return known
        found = find()
        with self._lock:
            if len(values) < _MOST:
                values[question] = found
        return found


def keeping(connection: Connection, kept: Kept, commits: int | None) -> Connection:
    """A connection that only reads, with what is kept. `commits` is the number that every commit moves, as it was
    before anything was read; None on PostgreSQL, which knows what a transaction sees."""
    return connection.execution_options(**{_OPTION: (kept, commits)})


def once(connection: Connection, question: Hashable, find: Callable[[], Value]) -> Value:
    """What `find` answers, or what it answered to the same question when the database was as this transaction sees it.

    `question` has to name all that the answer depends on besides the database. A transaction that writes asks anew.
    """
    kept, commits = connection.get_execution_options().get(_OPTION, (None, None))
    if not isinstance(kept, Kept):
        return find()
    return kept.get(_snapshot(connection) if commits is None else commits, question, find)


def _snapshot(connection: Connection) -> Hashable:
    """Which transactions this one sees: those that see the same ones see the same rows."""
    return str(connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar_one())
