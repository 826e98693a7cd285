"""The lockfile as it is served: conda-lock's document as JSON (which YAML readers take as well)."""

from __future__ import annotations

import json

from conda_store.domain.conda_lock import document
from conda_store.domain.lock import Lock


def render(lock: Lock, specification_sha256: str) -> bytes:
    """The document as JSON with an indent of four, in UTF-8."""
    return json.dumps(document(lock, specification_sha256), indent=4).encode()
