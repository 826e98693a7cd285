"""Connections to files that never change, but are replaced as a whole from time to time."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from conda_store.errors import Unavailable

_Generation = tuple[int, int, int]

_MAPPED = 1 << 30


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for reading a file that never changes.

    Raises:
        sqlite3.Error: there is no such file, or it is no database.
    """
    connection = open_readonly(path)
    try:
        yield connection
    finally:
        connection.close()


def open_readonly(path: Path) -> sqlite3.Connection:
    """The same, to be closed by the caller; it may be passed between threads.

    Raises:
        sqlite3.Error: there is no such file, or it is no database.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA mmap_size = {_MAPPED}")  # the operating system's cache is the only one
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class Readers:
    """Keeps up to `keeps` idle connections to `path`, all to the file that is there now."""

    def __init__(self, path: Path, keeps: int = 4) -> None:
        self._path = path
        self._keeps = keeps
        self._lock = threading.Lock()
        self._generation: _Generation | None = None
        self._idle: list[sqlite3.Connection] = []

    @contextlib.contextmanager
    def borrow(self) -> Iterator[sqlite3.Connection | None]:
        """A connection to the present file, for this block alone; None where there is no file.

        Raises:
            Unavailable: the file is no database of ours.
        """
        generation = self._present()
        if generation is None:
            yield None
            return
        connection = self._take(generation)
        is_good = False
        try:
            connection = connection or open_readonly(self._path)
            yield connection
            is_good = True
        except sqlite3.DatabaseError as error:
            raise Unavailable(
                f"The package index cannot be read: {error}", hint="It is made anew by the next refresh."
            ) from error
        finally:
            if connection is not None and not (is_good and self._put_back(generation, connection)):
                connection.close()

    def close(self) -> None:
        with self._lock:
            idle, self._idle, self._generation = self._idle, [], None
        for connection in idle:
            connection.close()

    def _present(self) -> _Generation | None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def _take(self, generation: _Generation) -> sqlite3.Connection | None:
        """An idle connection to this generation; those to an older one are closed."""
        with self._lock:
            if generation == self._generation:
                return self._idle.pop() if self._idle else None
            outdated, self._idle, self._generation = self._idle, [], generation
        for connection in outdated:
            connection.close()
        return None

    def _put_back(self, generation: _Generation, connection: sqlite3.Connection) -> bool:
        with self._lock:
            is_kept = generation == self._generation and len(self._idle) < self._keeps
            if is_kept:
                self._idle.append(connection)
        return is_kept
