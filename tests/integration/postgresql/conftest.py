"""A PostgreSQL of our own, on a free port of loopback, and a fresh database for each test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from conda_store.db import migrate
from conda_store.db.engine import Database
from conda_store.services.context import Context
from tests.needed import missing
from tests.ports import Port
from tests.queueing import opened
from tests.waiting import PATIENCE, wait_for

_NUMBERS = count(1)


def _program(name: str) -> Path:
    """Debian keeps them out of the path."""
    found = shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=None)
    if found is None:
        missing("PostgreSQL")
    return Path(str(found))


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a running server, without a database."""
    # it refuses to run as root
    user = "postgres" if os.geteuid() == 0 else None
    directory = Path(tempfile.mkdtemp(prefix="conda-store-postgresql-"))
    if user is not None:
        shutil.chown(directory, user)
    data = directory / "data"
    subprocess.run(
        [_program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
        user=user, cwd="/", check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    port = Port()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [_program("postgres"), "-D", data, "-p", str(port.number), "-c", "listen_addresses=127.0.0.1",
             "-c", f"unix_socket_directories={directory}", "-c", "fsync=off"],
            user=user, cwd="/", stdout=log, stderr=log,
        )  # fmt: skip
    url = f"postgresql+psycopg://postgres@127.0.0.1:{port.number}"
    try:
        _await(url)
        template = Database(f"{url}/template1")
        migrate.upgrade(template)
        template.close()
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        port.close()
        shutil.rmtree(directory, ignore_errors=True)


def _await(url: str) -> None:
    engine = create_engine(f"{url}/postgres")

    def answers() -> bool:
        try:
            with engine.connect():
                return True
        except OperationalError:
            return False

    wait_for("PostgreSQL answers", answers)
    engine.dispose()


@pytest.fixture
def database_url(server: str) -> Iterator[str]:
    name = f"test{next(_NUMBERS)}"
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield f"{server}/{name}"
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def context(database_url: str, tmp_path: Path) -> Iterator[Context]:
    context = opened(database_url, tmp_path)
    yield context
    context.database.close()
