"""A disk without room: said as such, with the path, and nothing half built."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conda_store.builder.package_cache import PackageCache
from conda_store.errors import DiskFull
from tests import disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disks.small_disk(tmp_path / "disk", 2) as disk:
        yield disk


@pytest.mark.parametrize("what", ["cache", "store"])
def test_full_disk(site, small_disk, what):
    site.add("large", files={f"share/{number}": os.urandom(300_000) for number in range(10)})
    cache = site.cache
    if what == "cache":
        site.cache = PackageCache(small_disk / "cache")
    else:
        site.store = small_disk / "store"
    with pytest.raises(DiskFull) as caught:
        site.install()
    assert str(small_disk) in caught.value.message
    assert caught.value.transient
    assert "Delete builds" in caught.value.hint
    assert site.is_clean()

    site.cache = cache
    site.store = small_disk.with_name("elsewhere")
    site.install()
    assert (site.store / "environment/share/9").exists()


def test_full_disk_after_linking(site, small_disk):
    """Variables so long that their file does not fit."""
    site.add("small", files={"share/small": "x"})
    site.store = small_disk / "store"
    with pytest.raises(DiskFull):
        site.install(variables={"LONG": "x" * 4_000_000})
    assert site.is_clean()


def test_no_path_of_the_message_holds_credentials(site, small_disk):
    package = site.add("large", files={"share/large": os.urandom(3_000_000)})
    site.packages = [replace(package, channel="http://user:pa55word@host/channel")]
    site.store = small_disk / "store"
    with pytest.raises(DiskFull) as caught:
        site.install()
    assert "pa55word" not in str(caught.value)
