"""Disks that are soon full."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(directory: Path, mebibytes: int) -> Iterator[Path]:
    """The directory as a file system of its own, in memory; skips where that cannot be had."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root mounts a file system of a given size")
    directory.mkdir(parents=True, exist_ok=True)
    size = f"size={mebibytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "conda-store-test", directory], check=True, timeout=20)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True, timeout=20)
