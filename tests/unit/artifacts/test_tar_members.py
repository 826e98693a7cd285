"""Tar members, read back by Python's own reader and by GNU tar."""

import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from conda_store.artifacts.block_stream import BLOCK_SIZE, BlockStream
from conda_store.artifacts.tar_members import TarStream

PATHS = [
    "short",
    "a" * 100,
    "a" * 101,
    "d" * 100 + "/" + "f" * 100,
    "d" * 155 + "/" + "f" * 100,
    "d" * 156 + "/" + "f" * 100,
    "/".join(["deep"] * 100),
    "ünicode/☃",
    "ü" * 120,
    "with space and 'quotes'",
    "line\nbreak",
    os.fsdecode(b"not-utf8-\xff"),
]


def packed(fill: Callable[[TarStream], None]) -> bytes:
    destination = io.BytesIO()
    with BlockStream(destination, 2, lambda position: None) as stream:
        tar = TarStream(stream)
        fill(tar)
        tar.end()
        stream.finish()
    return destination.getvalue()


def test_every_path_comes_back(tmp_path: Path) -> None:
    def fill(tar: TarStream) -> None:
        for number, path in enumerate(PATHS):
            tar.add_bytes(path, path.encode(errors="surrogateescape"), mode=0o600 + number, mtime=number)
            tar.add_symlink(f"links/{number}", path, mtime=0)
        tar.add_directory("folder", mtime=0)

    data = packed(fill)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for number, path in enumerate(PATHS):
            member = tar.getmember(path)
            extracted = tar.extractfile(member)
            assert extracted is not None
            assert extracted.read() == path.encode(errors="surrogateescape")
            assert (member.mode, member.mtime) == (0o600 + number, number)
            assert tar.getmember(f"links/{number}").linkname == path
        assert tar.getmember("folder").isdir()
    (tmp_path / "a.tar.gz").write_bytes(data)
    result = subprocess.run(
        ["tar", "-xzf", tmp_path / "a.tar.gz", "-C", tmp_path], check=True, capture_output=True, text=True
    )
    assert result.stderr == ""
    assert (tmp_path / "/".join(["deep"] * 100)).is_file()


def test_large_sizes_are_written_as_gnu_does() -> None:
    from conda_store.artifacts.tar_members import REGULAR, header

    for size in (8**11 - 1, 8**11, 1 << 40):
        info = tarfile.TarInfo.frombuf(header(b"large", REGULAR, mode=0o644, size=size), "utf-8", "strict")
        assert info.size == size


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, BLOCK_SIZE - 512, BLOCK_SIZE, BLOCK_SIZE + 1, 9 * BLOCK_SIZE])
def test_files_around_the_edges_of_blocks(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)

    def fill(tar: TarStream) -> None:
        for name in ("first", "second"):
            with (tmp_path / "file").open("rb") as file:
                assert tar.add_open_file(name, file.fileno(), size=size, mode=0o644, mtime=0)
            tar.add_bytes(f"{name}-too", content, mode=0o644, mtime=0)

    with tarfile.open(fileobj=io.BytesIO(packed(fill))) as tar:
        for member in tar.getmembers():
            extracted = tar.extractfile(member)
            assert extracted is not None and extracted.read() == content


def test_a_file_that_shrank_is_told(tmp_path: Path) -> None:
    threads = threading.active_count()
    (tmp_path / "file").write_bytes(b"short")
    with (
        BlockStream(io.BytesIO(), 2, lambda position: None) as stream,
        (tmp_path / "file").open("rb") as file,
    ):
        assert not TarStream(stream).add_open_file("file", file.fileno(), size=100, mode=0o644, mtime=0)
    assert threading.active_count() == threads


def test_a_slow_destination_does_not_fill_the_memory() -> None:
    """Never more blocks exist than the pool has, though 200 are written before anything arrives."""
    gate = threading.Event()
    arrived: list[int] = []

    class Slow(io.RawIOBase):
        def write(self, data: object) -> int:
            assert gate.wait(30)
            arrived.append(len(data))  # type: ignore[arg-type]
            return 0

    positions: list[int] = []
    stream = BlockStream(Slow(), 0, positions.append)  # type: ignore[arg-type]

    def fill() -> None:
        with stream:
            for _ in range(200):
                stream.write(os.urandom(BLOCK_SIZE))
            stream.finish()

    writer = threading.Thread(target=fill)
    writer.start()
    writer.join(1.0)
    blocked_at = len(positions)
    gate.set()
    writer.join(60)
    assert not writer.is_alive()
    assert blocked_at < 20
    assert len(positions) == 200
