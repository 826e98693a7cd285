from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conda_store.db import migrate
from conda_store.db.engine import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/conda-store.sqlite")
    migrate.upgrade(database)
    yield database
    database.close()
