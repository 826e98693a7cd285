"""A directory of blobs on a file system that fills up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conda_store.errors import DiskFull
from conda_store.storage import local_blobs
from tests.disks import small_disk


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    with small_disk(tmp_path / "disk", 4) as disk:
        yield disk


@pytest.mark.parametrize("chunks", [6, 60])
def test_no_room_is_told_apart_and_leaves_nothing(tiny_disk: Path, chunks: int) -> None:
    blobs = local_blobs(tiny_disk)
    with pytest.raises(DiskFull, match="archive/large"):
        blobs.put("archive/large", (b"x" * (1 << 20) for _ in range(chunks)))
    assert list(blobs.list()) == []
    assert [file for file in tiny_disk.rglob("*") if file.is_file()] == []
    blobs.put("archive/small", b"there is room again")
    assert blobs.get("archive/small") == b"there is room again"
