"""The database: SQLite by default, PostgreSQL when shared.

What cannot be done because the database is busy, full or away is `Unavailable`: nobody above knows its errors.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, NoSuchModuleError, OperationalError

from conda_store.db import audit
from conda_store.db.kept import Kept, keeping
from conda_store.domain.audit import current_trail
from conda_store.errors import ConfigurationError, DatabaseFull, Unavailable

__all__ = ["Changes", "Connection", "Database"]

LOCK_SECONDS = 30
_WRITERS = 7266327  # the advisory lock of whoever writes
# the database itself cannot grow, or what its processes share beside it cannot
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
_FULL_POSTGRESQL = "53100"


class Database:
    """Connections to one database, each a transaction.

    A writing transaction takes the one write lock when it begins, so that two of them never meet half way; readers
    are never blocked. SQLite has such a lock (WAL); on PostgreSQL it is an advisory one.

    Raises:
        ConfigurationError: the URL is none, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        if (kind := self._url.get_backend_name()) not in {"sqlite", "postgresql"}:
            raise ConfigurationError(
                f"databases of the kind {kind!r} cannot be used",
                hint="SQLite (sqlite:///FILE) and PostgreSQL (postgresql+psycopg://USER@HOST/NAME) can be.",
            )
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        if self.is_sqlite and self._url.database:
            _make_private(Path(self._url.database))
        options: dict[str, Any] = {"pool_pre_ping": not self.is_sqlite}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": LOCK_SECONDS, "check_same_thread": False}
        try:
            self.engine: Engine = create_engine(self._url, **options)
        except (ImportError, NoSuchModuleError) as error:
            raise ConfigurationError(
                f"databases of the kind {self._url.drivername!r} cannot be used: {error}",
                hint="SQLite and PostgreSQL can be; for the latter install conda-store with its extra `postgresql`.",
            ) from error
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            event.listen(self.engine, "connect", _prepare_postgresql)
        self._kept = Kept()
        self._commits = Commits(self)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read one consistent state with.

        Raises:
            Unavailable: the database does not answer.
        """
        with _unavailable():
            commits = self._commits.number()  # before anything is read
            with self.engine.connect() as connection:
                if not self.is_sqlite:
                    connection.execution_options(isolation_level="REPEATABLE READ")
                yield keeping(connection, self._kept, commits)

    @contextmanager
    def write(self, *, is_own: bool = False, is_act: bool = True) -> Iterator[Connection]:
        """A connection whose changes are committed together, or not at all.

        What the request has been permitted so far is written to the audit log with them; without `is_act` they are
        nothing that anybody has asked for, such as the result of a solve that is kept.

        `is_own`: only rows are changed that a lease makes the caller's; where the database can, other writers are not
        waited for then.

        Raises:
            Unavailable: the database does not answer, or others write for more than `LOCK_SECONDS`.
        """
        with _unavailable(), self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            if not self.is_sqlite and not is_own:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")
            yield connection
            trail = current_trail()
            if trail is not None and is_act and not is_own:
                audit.add(connection, trail.take_allowed())

    def check(self) -> None:
        """
        Raises:
            ConfigurationError: the database cannot be reached.
        """
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except (OperationalError, InterfaceError) as error:
            shown = self._url.render_as_string(hide_password=True)
            raise ConfigurationError(
                f"the database {shown} cannot be opened: {error.orig}",
                hint="Check `c.CondaStore.database_url` and that the database runs and may be written to.",
            ) from error

    def close(self) -> None:
        self._commits.close()
        self.engine.dispose()


def _make_private(path: Path) -> None:
    """A new database is its owner's alone, and so are the files that SQLite puts beside it: they take its mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # opening it tells what is wrong, and where
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _parsed(url: str) -> URL:
    """The URL; PostgreSQL is spoken to by psycopg, whichever driver older configurations name."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "c.CondaStore.database_url is no URL of a database",
            hint="It looks like sqlite:////absolute/path.sqlite or postgresql://user:password@host/name.",
        ) from error
    if parsed.get_backend_name() in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, sqlite3.OperationalError) as error:
        origin = getattr(error, "orig", error)
        code = getattr(origin, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_ERROR:
            raise  # not the database's fault: no such table, wrong SQL
        if code in _FULL or getattr(origin, "sqlstate", None) == _FULL_POSTGRESQL:
            raise DatabaseFull(
                "no space left on the disk of the database",
                hint="Make room on the disk that c.CondaStore.database_url is on: deleting builds needs some, too.",
            ) from error
        raise Unavailable(
            "the database is busy or does not answer", hint="Try again; the service's log tells more."
        ) from error


def _prepare_postgresql(connection: Any, _record: object) -> None:
    """Nobody waits for a lock for ever, nor does one who was stopped half way keep it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{2 * LOCK_SECONDS}s'")
    connection.commit()


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


class Commits:
    """A number that every commit to an SQLite database moves (`PRAGMA data_version`, microseconds); None elsewhere."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def number(self) -> int | None:
        if not self._database.is_sqlite:
            return None
        with self._lock:
            if self._connection is None:
                engine = self._database.engine
                arguments, options = engine.dialect.create_connect_args(engine.url)
                self._connection = sqlite3.connect(arguments[0], **options)
            (number,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(number)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class Changes:
    """Tells whether anything was committed to the database since it was last asked.

    Where there is no counter that could be looked at, every question is answered yes.
    """

    def __init__(self, database: Database) -> None:
        self._commits = Commits(database)
        self._seen = -1
        # whether asking costs so little that it may be done many times a second
        self.is_cheap = database.is_sqlite
        # what every commit is written to, before it can be seen; it stays while anybody is connected
        self.written_file = Path(f"{database.engine.url.database}-wal") if database.is_sqlite else None

    def any(self) -> bool:
        number = self._commits.number()
        if number is None:
            return True
        changed = number != self._seen
        self._seen = number
        return changed

    def close(self) -> None:
        self._commits.close()
