from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import Store, store, tiny_channel
from tools.channel.serve import ChannelServer


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[ChannelServer]:
    """A channel of tiny packages, served with faults on demand."""
    with ChannelServer(tiny_channel(tmp_path / "channel")) as server:
        yield server


@pytest.fixture
def opened(tmp_path: Path, channel: ChannelServer) -> Iterator[Store]:
    """A conda-store without a worker yet, whose default channel is `channel`."""
    with store(tmp_path / "store", conda_default_channels=[channel.url]) as found:
        yield found
