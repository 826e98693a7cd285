"""A PostgreSQL of our own, on a free port of loopback, and a fresh database for each test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
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
from tests.queueing import opened

_NUMBERS = count(1)
_START_SECONDS = 60


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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [_program("postgres"), "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1",
             "-c", f"unix_socket_directories={directory}", "-c", "fsync=off"],
            user=user, cwd="/", stdout=log, stderr=log,
        )  # fmt: skip
    url = f"postgresql+psycopg://postgres@127.0.0.1:{port}"
    try:
        _await(url)
        template = Database(f"{url}/template1")
        migrate.upgrade(template)
        template.close()
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(directory, ignore_errors=True)


def _await(url: str) -> None:
    engine = create_engine(f"{url}/postgres")
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with engine.connect():
                break
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
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
