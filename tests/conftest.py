from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.needed import missing

# how long it takes says how busy the machine is, and nothing of what is tested
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

ROOT = Path(__file__).parent.parent
REAL_CHANNEL = ROOT / ".cache" / "test-channel"


@pytest.fixture(scope="session")
def real_channel() -> Path:
    """A channel of real packages: Pythons 3.11 and 3.13, two versions of numpy, pandas, ipykernel, and odd ones."""
    if not (REAL_CHANNEL / "noarch" / "repodata.json").exists():
        missing("the channel of real packages")
    return REAL_CHANNEL
