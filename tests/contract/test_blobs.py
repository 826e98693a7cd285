"""What every store of blobs does, whatever lies behind it."""

import asyncio
import hashlib
import io
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conda_store.errors import InvalidInput, NotFound
from conda_store.storage import BlobStore, local_blobs, memory_blobs

FACTORIES: dict[str, Callable[[Path], BlobStore]] = {
    "local": lambda directory: local_blobs(directory / "blobs"),
    "memory": lambda directory: memory_blobs(),
}
LARGE = [bytes([number]) * (1 << 20) for number in range(20)]


@pytest.fixture(params=FACTORIES)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return FACTORIES[request.param](tmp_path)


def test_nobody_else_looks_into_a_directory_of_blobs(tmp_path: Path) -> None:
    local_blobs(tmp_path / "blobs").put("archive/private.tar.gz", b"secret", "application/gzip")
    assert stat.S_IMODE((tmp_path / "blobs").stat().st_mode) == 0o700


@pytest.mark.parametrize("form", ["bytes", "file", "path", "iterable"])
@pytest.mark.parametrize("content", [b"", b"some bytes", b"".join(LARGE)], ids=["empty", "small", "large"])
def test_what_is_put_comes_back_with_its_digest(blobs: BlobStore, tmp_path: Path, form: str, content: bytes) -> None:
    (tmp_path / "source").write_bytes(content)
    data = {
        "bytes": content,
        "file": io.BytesIO(content),
        "path": tmp_path / "source",
        "iterable": [content[start : start + 999_999] for start in range(0, len(content), 999_999)],
    }[form]
    stored = blobs.put("archive/key.tar.gz", data, "application/gzip")
    assert (stored.key, stored.size) == ("archive/key.tar.gz", len(content))
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert blobs.get("archive/key.tar.gz") == content
    assert b"".join(blobs.chunks("archive/key.tar.gz")) == content
    assert (tmp_path / "source").exists()


def test_an_asynchronous_reader(blobs: BlobStore) -> None:
    stored = blobs.put("archive/large", iter(LARGE))

    async def read() -> bytes:
        info = await blobs.head_async("archive/large")
        assert info is not None and info.size == stored.size == 20 << 20
        return b"".join([chunk async for chunk in blobs.stream("archive/large")])

    assert asyncio.run(read()) == b"".join(LARGE)


@pytest.mark.parametrize(("start", "end"), [(0, 4), (3, 7), (3, None), (9, 10), (4, 4), (0, 10)])
def test_a_range(blobs: BlobStore, start: int, end: int | None) -> None:
    blobs.put("key", b"0123456789")

    async def streamed() -> bytes:
        return b"".join([chunk async for chunk in blobs.stream("key", start, end)])

    assert b"".join(blobs.chunks("key", start, end)) == b"0123456789"[start:end]
    assert asyncio.run(streamed()) == b"0123456789"[start:end]


def test_a_later_blob_replaces_an_earlier_one(blobs: BlobStore) -> None:
    blobs.put("key", b"first, and longer")
    before = blobs.head("key")
    blobs.put("key", b"second")
    after = blobs.head("key")
    assert blobs.get("key") == b"second"
    assert before is not None and after is not None
    assert before.etag != after.etag
    assert after.size == 6
    assert abs(after.last_modified - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_source_that_fails_leaves_nothing(blobs: BlobStore) -> None:
    class Failure(Exception):
        pass

    def source() -> Iterator[bytes]:
        yield from LARGE
        raise Failure("half way")

    blobs.put("archive/key", b"earlier")
    with pytest.raises(Failure, match="half way"):
        blobs.put("archive/key", source())
    with pytest.raises(Failure, match="half way"):
        blobs.put("archive/new", source())
    assert blobs.get("archive/key") == b"earlier"
    assert [info.key for info in blobs.list()] == ["archive/key"]


def test_a_source_whose_file_is_missing_is_not_taken_for_a_missing_blob(blobs: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        blobs.put("key", tmp_path / "missing")


def test_a_file_is_taken_over(blobs: BlobStore, tmp_path: Path) -> None:
    file = tmp_path / "made"
    file.write_bytes(b"content")
    file.chmod(0o600)
    stored = blobs.put_file("installer/key.sh", file)
    assert stored.sha256 == hashlib.sha256(b"content").hexdigest()
    assert stored.size == 7
    assert blobs.get("installer/key.sh") == b"content"
    assert not file.exists()


def test_deleting(blobs: BlobStore) -> None:
    blobs.put("logs/one.log", b"1")
    blobs.delete("logs/one.log")
    blobs.delete("logs/one.log")
    assert blobs.head("logs/one.log") is None
    with pytest.raises(NotFound, match="one"):
        blobs.get("logs/one.log")
    with pytest.raises(NotFound):
        list(blobs.chunks("logs/one.log"))


def test_listing_a_folder(blobs: BlobStore) -> None:
    for key in ("logs/a.log", "logs/b.log", "logs-of-others/c.log", "yaml/a.yml"):
        blobs.put(key, key.encode())
    assert sorted(info.key for info in blobs.list("logs")) == ["logs/a.log", "logs/b.log"]
    assert {info.key: info.size for info in blobs.list()}["yaml/a.yml"] == len("yaml/a.yml")


@pytest.mark.parametrize(
    "key", ["logs/-+_@$&?^~.=.log", "a b/ü.yml", "%2e%2e/x", "x" * 255, "logs/" + "ü" * 300 + ".log"]
)
def test_names_of_environments_are_good_in_keys(blobs: BlobStore, key: str) -> None:
    blobs.put(key, b"content")
    assert blobs.get(key) == b"content"
    info = blobs.head(key)
    assert info is not None and info.key == key
    listed = [info.key for info in blobs.list()]
    assert [blobs.get(other) for other in listed] == [b"content"]
    if (path := blobs.local_path(key)) is not None:
        assert path.read_bytes() == b"content"


BAD_KEYS = ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a\0b", "a\\b", "a\nb", "a#1", "a" * 1025]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_keys_that_lead_elsewhere_are_refused(blobs: BlobStore, key: str) -> None:
    for use in (
        lambda: blobs.put(key, b""),
        lambda: blobs.get(key),
        lambda: blobs.head(key),
        lambda: blobs.delete(key),
    ):
        with pytest.raises(InvalidInput, match="blob key"):
            use()
    with pytest.raises(InvalidInput, match="blob key"):
        blobs.local_path(key)


def test_no_url_is_signed_here(blobs: BlobStore) -> None:
    blobs.put("key", b"content")
    assert blobs.sign("key", timedelta(minutes=1)) is None
