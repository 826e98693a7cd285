from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import Store, store, tiny_channel
from tests.acceptance.holding import large_packages
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


@pytest.fixture(scope="module")
def large_channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChannelServer]:
    with ChannelServer(large_packages(tmp_path_factory.mktemp("channel"))) as server:
        yield server


@pytest.fixture
def large(large_channel: ChannelServer) -> Iterator[ChannelServer]:
    """A channel with large packages, without faults from another test."""
    large_channel.faults.clear()
    yield large_channel
    large_channel.faults.clear()
