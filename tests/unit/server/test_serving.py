"""Sending a file that is removed at that moment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from conda_store.errors import NotFound
from conda_store.server.sending import EXTENSION
from conda_store.server.serving import FileAnswer


def test_a_file_that_is_gone_is_not_found(tmp_path: Path) -> None:
    """And nothing has been sent, so that the client can be told."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    answer = FileAnswer(tmp_path / "gone", 0, 10)
    with pytest.raises(NotFound):
        asyncio.run(answer({"type": "http", "extensions": {EXTENSION: send}}, receive, send))
    assert sent == []
