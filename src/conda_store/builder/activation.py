"""What an environment sets when it is activated: the `variables` of its specification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

STATE = "conda-meta/state"


def state(variables: Mapping[str, str]) -> bytes:
    """conda's state file, which activation reads; empty where there is nothing to set, and no file is needed."""
    if not variables:
        return b""
    document = {"version": 1, "env_vars": {name: str(value) for name, value in variables.items()}}
    return json.dumps(document, indent=2).encode()


def write_variables(prefix: Path, variables: Mapping[str, str]) -> int:
    """Write the state file where there is something to set; returns its size in bytes."""
    text = state(variables)
    if text:
        path = prefix / STATE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return len(text)
