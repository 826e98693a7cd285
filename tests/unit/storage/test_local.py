"""What only a directory of blobs has to care for."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from conda_store.errors import ConfigurationError, StorageFailed
from conda_store.storage import local_blobs


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    blobs = local_blobs(tmp_path)
    blobs.put("archive/key.tar.gz", b"content")
    old, new = tmp_path / "archive/key.tar.gz#1", tmp_path / "archive/other.tar.gz#12"
    old.write_bytes(b"con")
    new.write_bytes(b"con")
    os.utime(old, (0, 0))
    assert [info.key for info in blobs.list()] == ["archive/key.tar.gz"]
    assert blobs.remove_debris(older_than=timedelta(hours=1)) == 1
    assert sorted(file.name for file in (tmp_path / "archive").iterdir()) == ["key.tar.gz", "other.tar.gz#12"]


def test_what_becomes_a_blob_while_debris_is_looked_for_does_not_end_the_search(tmp_path: Path) -> None:
    gone, old = tmp_path / "archive/a#1", tmp_path / "logs/b#1"
    for file in (gone, old):
        file.parent.mkdir()
    gone.symlink_to("renamed meanwhile")
    old.write_bytes(b"con")
    os.utime(old, (0, 0))
    assert local_blobs(tmp_path).remove_debris(older_than=timedelta(hours=1)) == 1


def test_debris_in_its_place_does_not_stop_a_writer(tmp_path: Path) -> None:
    blobs = local_blobs(tmp_path)
    (tmp_path / "key#1").write_bytes(b"con")
    blobs.put("key", b"content")
    assert blobs.get("key") == b"content"


def test_a_file_of_the_same_file_system_is_renamed(tmp_path: Path) -> None:
    blobs = local_blobs(tmp_path / "blobs")
    file = tmp_path / "made"
    file.write_bytes(b"content")
    inode = file.stat().st_ino
    blobs.put_file("archive/key", file, sha256="known")
    path = blobs.local_path("archive/key")
    assert path is not None
    assert path.stat().st_ino == inode
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        local_blobs(tmp_path / "file" / "blobs")


def test_a_refusal_names_the_key_and_not_the_path(tmp_path: Path) -> None:
    blobs = local_blobs(tmp_path)
    (tmp_path / "archive").write_text("a file where a directory belongs")
    with pytest.raises(StorageFailed) as caught:
        blobs.put("archive/key", b"content")
    assert "archive/key" in caught.value.message
    assert str(tmp_path) not in caught.value.message
