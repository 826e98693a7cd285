from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REAL_CHANNEL = ROOT / ".cache" / "test-channel"


def missing(what: str) -> None:
    """Leave a test out for want of a tool; where the set-up provides all tools (Debian, as root) that is a failure."""
    if Path("/etc/debian_version").exists() and os.geteuid() == 0:
        pytest.fail(f"{what} is missing: run `make setup`")
    pytest.skip(f"{what} is missing: run `make setup`")


@pytest.fixture(scope="session")
def real_channel() -> Path:
    """A channel of real packages: Pythons 3.11 and 3.13, two versions of numpy, pandas, ipykernel, and odd ones."""
    if not (REAL_CHANNEL / "noarch" / "repodata.json").exists():
        missing("the channel of real packages")
    return REAL_CHANNEL
