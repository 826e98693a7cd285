"""What tests need besides Python packages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def missing(what: str) -> None:
    """Leave a test out for want of a tool; where the set-up provides all tools (Debian, as root) that is a failure."""
    if Path("/etc/debian_version").exists() and os.geteuid() == 0:
        pytest.fail(f"{what} is missing: run `make setup`")
    pytest.skip(f"{what} is missing: run `make setup`")
