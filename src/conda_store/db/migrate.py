"""Bringing a database to the present schema."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect
from sqlalchemy import text as sql

from conda_store.db.engine import Database
from conda_store.errors import ConfigurationError

_MIGRATIONS = Path(__file__).with_name("migrations")


def upgrade(database: Database) -> None:
    """Run every migration that the database has not seen; safe to call from several programs at once.

    Raises:
        ConfigurationError: the database is that of another program, or of a newer conda-store.
    """
    if is_current(database):
        return
    with database.write() as connection:
        _refuse_foreign(connection)
        _run(connection)


def revisions() -> tuple[str, ...]:
    """Every revision, the newest last: the files are named `<revision>_<what>.py`."""
    return tuple(sorted(file.name.split("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*_*.py")))


def _seen(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sql("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def is_current(database: Database) -> bool:
    """Whether it has all tables of this version. Looked up without Alembic, which takes a third of a second to load.

    Raises:
        ConfigurationError: the database cannot be used.
    """
    database.check()
    with database.read() as connection:
        return _seen(connection) == revisions()[-1]


def _refuse_foreign(connection: Connection) -> None:
    tables = set(inspect(connection).get_table_names())
    hint = "Give `c.CondaStore.database_url` a database of its own."
    if "build" in tables and "build_log" not in tables:
        raise ConfigurationError("the database holds tables of an earlier conda-store (2025 or before)", hint=hint)
    seen = _seen(connection)
    if seen is None and tables - {"alembic_version"}:
        raise ConfigurationError("the database holds tables of another program", hint=hint)
    if seen is not None and seen not in revisions():
        raise ConfigurationError(
            f"the database is at revision {seen}, which this conda-store does not know",
            hint="It was used by a newer conda-store: run that one.",
        )


def _run(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
