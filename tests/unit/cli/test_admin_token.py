from __future__ import annotations

from pathlib import Path

import pytest

from conda_store.auth.opaque import is_token
from conda_store.cli.serve import admin_token


@pytest.mark.parametrize("left_behind", [None, "", "\n", "cst_half"])
def test_what_a_crash_left_is_no_token(tmp_path: Path, left_behind: str | None) -> None:
    """The empty text as a token would let in everybody who says nothing."""
    path = tmp_path / "admin-token"
    if left_behind is not None:
        path.write_text(left_behind)
    token = admin_token(path)
    assert is_token(token)
    assert admin_token(path) == token, "kept"
    assert path.stat().st_mode & 0o077 == 0
    assert [item.name for item in tmp_path.iterdir()] == ["admin-token"]
