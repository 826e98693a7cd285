from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conda_store.services.context import Context
from tests.queueing import opened


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    context = opened(f"sqlite:///{tmp_path}/conda-store.sqlite", tmp_path)
    yield context
    context.database.close()
