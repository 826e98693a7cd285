"""No room for repodata: told as such, and not as the channel's fault."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from conda_store.errors import DiskFull
from tests import disks
from tests.unit.builder.conftest import Bench
from tools.channel.serve import ChannelServer


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disks.small_disk(tmp_path / "disk", 1) as disk:
        yield disk


def test_a_solve_whose_cache_is_full(conda_forge: Path, small_disk: Path) -> None:
    with ChannelServer(conda_forge) as server:
        bench = Bench(small_disk / "cache", server.url, download_timeout=20.0)
        with (small_disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(b"x" * 4096)
        with pytest.raises(DiskFull) as caught:
            bench.solve("python", channels=["conda-forge"])
        assert str(small_disk) in caught.value.message
        os.truncate(small_disk / "ballast", (small_disk / "ballast").stat().st_size - (64 << 10))
        with pytest.raises(DiskFull):  # room for notes, and not for repodata
            bench.solve("python", channels=["conda-forge"])
        subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True, timeout=20)
        assert "python" in bench.versions("python", channels=["conda-forge"])
