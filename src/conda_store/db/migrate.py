"""Bringing a database to the present schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect
from sqlalchemy import text as sql

from conda_store.db.engine import Database
from conda_store.errors import ConfigurationError


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


def upgrade(database: Database) -> None:
    """Run every migration that the database has not seen; safe to call from several programs at once.

    Raises:
        ConfigurationError: the database is that of another program, or of a newer conda-store.
    """
    database.check()
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sql("SELECT pg_advisory_xact_lock(7266327)"))
        tables = set(inspect(connection).get_table_names())
        if "build" in tables and "build_log" not in tables:
            raise ConfigurationError(
                "the database holds tables of an earlier conda-store (2025 or before)",
                hint="Give `c.CondaStore.database_url` a database of its own.",
            )
        command.upgrade(_config(connection), "head")
