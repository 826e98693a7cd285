"""The database: SQLite by default, PostgreSQL when shared."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from conda_store.errors import ConfigurationError

SQLITE_BUSY_SECONDS = 30


class Database:
    """Connections to one database, each a transaction.

    On SQLite a writing transaction takes the write lock when it begins, so that two of them never
    meet half way; readers are never blocked (WAL).
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        if self.is_sqlite and self._url.database:
            Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"pool_pre_ping": not self.is_sqlite}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False}
        self.engine: Engine = create_engine(self._url, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read one consistent state with."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection whose changes are committed together, or not at all."""
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def check(self) -> None:
        """
        Raises:
            ConfigurationError: the database cannot be reached.
        """
        try:
            with self.read() as connection:
                connection.execute(text("SELECT 1"))
        except OperationalError as error:
            shown = self._url.render_as_string(hide_password=True)
            raise ConfigurationError(
                f"the database {shown} cannot be opened: {error.orig}",
                hint="Check `c.CondaStore.database_url` and that the database runs and may be written to.",
            ) from error

    def close(self) -> None:
        self.engine.dispose()


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA case_sensitive_like=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class Changes:
    """Tells whether anything was committed to the database since it was last asked.

    On SQLite that is one pragma that reads a counter (`PRAGMA data_version`, microseconds); elsewhere there is no
    such counter, so that every question is answered yes.
    """

    def __init__(self, database: Database) -> None:
        self._connection: sqlite3.Connection | None = None
        self._seen = -1
        if database.is_sqlite:
            self._connection = sqlite3.connect(str(database.engine.url.database), check_same_thread=False)

    def any(self) -> bool:
        if self._connection is None:
            return True
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        changed = version != self._seen
        self._seen = version
        return bool(changed)

    @property
    def is_cheap(self) -> bool:
        """Whether asking costs so little that it may be done many times a second."""
        return self._connection is not None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
