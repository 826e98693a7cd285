from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.needed import missing

# how long it takes says how busy the machine is, and nothing of what is tested
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# a shell has its background jobs ignore Ctrl-C, and so would every program that the tests start and interrupt
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
REAL_CHANNEL = ROOT / ".cache" / "test-channel"


@pytest.fixture(scope="session")
def real_channel() -> Path:
    """A channel of real packages: Pythons 3.11 and 3.13, two versions of numpy, pandas, ipykernel, and odd ones."""
    if not (REAL_CHANNEL / "noarch" / "repodata.json").exists():
        missing("the channel of real packages")
    return REAL_CHANNEL
