from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from conda_store.db import migrate
from conda_store.db.engine import Database
from conda_store.db.tables import metadata, namespace
from conda_store.errors import ConfigurationError


def test_migrations_give_the_schema_of_the_tables(database: Database) -> None:
    with database.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    with database.write() as connection:
        connection.execute(namespace.insert().values(name="team", metadata_={}))
    migrate.upgrade(database)
    with database.read() as connection:
        assert connection.execute(select(namespace.c.name)).scalars().all() == ["team"]
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@pytest.mark.parametrize(("table", "why"), [("build", "earlier conda-store"), ("namespace", "another program")])
def test_a_database_with_tables_of_others_is_refused(tmp_path: Path, table: str, why: str) -> None:
    with sqlite3.connect(tmp_path / "old.sqlite") as connection:
        connection.execute(f"CREATE TABLE {table} (id INTEGER)")
    connection.close()
    old = Database(f"sqlite:///{tmp_path}/old.sqlite")
    with pytest.raises(ConfigurationError, match=why):
        migrate.upgrade(old)
    old.close()


def test_a_database_of_a_newer_server_is_refused(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="9999"):
        migrate.upgrade(database)
