"""What an environment sets when it is activated: the `variables` of its specification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

STATE = "conda-meta/state"


def write_variables(prefix: Path, variables: Mapping[str, str]) -> int:
    """Write conda's state file, which activation reads; returns its size in bytes, 0 where there is nothing to set."""
    if not variables:
        return 0
    path = prefix / STATE
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"version": 1, "env_vars": {name: str(value) for name, value in variables.items()}}, indent=2)
    path.write_text(text, encoding="utf-8")
    return len(text.encode())
