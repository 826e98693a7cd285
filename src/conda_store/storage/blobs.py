"""Blobs by key, over any of obstore's stores.

A blob is seen whole or not at all: local files are written beside their place and renamed, object stores show
an upload when it is complete. What is put is hashed and counted in the pass that stores it, and memory stays
flat. Services, which run in threads, call the plain methods; the server streams with those of `async`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.exceptions import BaseError

from conda_store.errors import DiskFull, NotFound, StorageFailed
from conda_store.storage.keys import is_unfinished, stored_path

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

    Signer = S3Store | GCSStore | AzureStore

_CHUNK = 4 << 20
_PART = 8 << 20
_PARTS_AT_ONCE = 4

Data = bytes | Path | BinaryIO | Iterable[bytes]


@dataclass(frozen=True)
class StoredBlob:
    """What was stored: `size` in bytes, `sha256` in hex."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True)
class BlobInfo:
    """`etag` is quoted as HTTP wants it, and changes with the content; `last_modified` is UTC."""

    key: str
    size: int
    etag: str | None
    last_modified: datetime


class BlobStore:
    """Made by the factories beside this module (`local_blobs`, `memory_blobs`).

    Every method raises:
        InvalidInput: the key is no relative path.
        NotFound: there is no such blob (not `delete`, `head`, `put`, `list`).
        DiskFull: no room is left.
        StorageFailed: the store refused or could not be reached.
    """

    def __init__(self, store: ObjectStore, *, root: Path | None = None, signer: Signer | None = None) -> None:
        self._store = store
        self._root = root
        self._signer = signer

    # --- writing -------------------------------------------------------------------------------------------

    def put(self, key: str, data: Data, content_type: str = "application/octet-stream") -> StoredBlob:
        """Store a blob, replacing one of that key. What the data's iterator raises is passed on, and nothing stored."""
        path = stored_path(key)
        measured = _Measured(_chunks_of(data))
        with _translated("store", key, measured):
            self._store.put(
                path,
                iter(measured),
                attributes=self._attributes(content_type),
                chunk_size=_PART,
                max_concurrency=_PARTS_AT_ONCE,
            )
        return StoredBlob(key, measured.size, measured.digest.hexdigest())

    def put_file(
        self, key: str, file: Path, content_type: str = "application/octet-stream", *, sha256: str | None = None
    ) -> StoredBlob:
        """Take over a finished file: renamed into place where the store is a directory of the same file system,
        copied else. Afterwards `file` is gone. `sha256` spares the reading where the writer has hashed already.
        """
        target = self.local_path(key)
        if target is None or not _is_same_file_system(file, target):
            stored = self.put(key, file, content_type)
            file.unlink()
            return stored
        size = file.stat().st_size
        digest = sha256 or _Measured(_chunks_of(file)).read_through()
        with _translated("store", key):
            target.parent.mkdir(parents=True, exist_ok=True)
            file.chmod(0o644)
            file.replace(target)
        return StoredBlob(key, size, digest)

    def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is no error."""
        path = stored_path(key)
        try:
            with _translated("delete", key):
                self._store.delete(path)
        except NotFound:
            return

    # --- reading -------------------------------------------------------------------------------------------

    def get(self, key: str) -> bytes:
        """The whole blob: for small ones."""
        path = stored_path(key)
        with _translated("read", key):
            return bytes(self._store.get(path).bytes())

    def chunks(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in pieces of some MiB."""
        path = stored_path(key)
        if end is not None and end <= start:
            return
        with _translated("read", key):
            result = self._store.get(path, options=_range(start, end))
            for chunk in result.stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """`chunks` for an event loop."""
        path = stored_path(key)
        if end is not None and end <= start:
            return
        with _translated("read", key):
            result = await self._store.get_async(path, options=_range(start, end))
            async for chunk in result.stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)

    def head(self, key: str) -> BlobInfo | None:
        """What is known of a blob without reading it; None where there is none."""
        path = stored_path(key)
        try:
            with _translated("look up", key):
                return _info(key, self._store.head(path))
        except NotFound:
            return None

    async def head_async(self, key: str) -> BlobInfo | None:
        """`head` for an event loop."""
        path = stored_path(key)
        try:
            with _translated("look up", key):
                return _info(key, await self._store.head_async(path))
        except NotFound:
            return None

    def list(self, folder: str = "") -> Iterator[BlobInfo]:
        """Every blob below a folder (`archive`), in no order. Very long names come shortened, as they are kept;
        the shortened ones are good as keys."""
        path = stored_path(folder) if folder else None
        with _translated("list", folder):
            for batch in self._store.list(path, chunk_size=1000):
                for meta in batch:
                    yield _info(meta["path"], meta)

    # --- handing out ---------------------------------------------------------------------------------------

    def sign(self, key: str, expires: timedelta) -> str | None:
        """A URL under which anybody may read the blob until it expires; None where the store cannot do that,
        as with a local directory: then the server streams it."""
        path = stored_path(key)
        if self._signer is None:
            return None
        with _translated("sign", key):
            return obstore.sign(self._signer, "GET", path, expires)

    def local_path(self, key: str) -> Path | None:
        """Where the blob lies, or would lie, on this machine; None where it lies elsewhere."""
        path = stored_path(key)
        return self._root / path if self._root is not None else None

    def remove_debris(self, older_than: timedelta) -> int:
        """Remove what writers left who were killed; returns how many files. Object stores expire theirs themselves."""
        if self._root is None:
            return 0
        limit = time.time() - older_than.total_seconds()
        removed = 0
        for folder, _, names in os.walk(self._root):
            for name in filter(is_unfinished, names):
                file = Path(folder, name)
                with suppress(FileNotFoundError):  # it has just become a blob
                    if file.stat().st_mtime < limit:
                        file.unlink()
                        removed += 1
        return removed

    def _attributes(self, content_type: str) -> dict[str, str] | None:
        # a directory keeps no types; whoever serves from it knows them from the key
        return None if self._root is not None else {"Content-Type": content_type}


class _Measured:
    """Passes chunks on, and hashes and counts them. What the source raised is kept in `failure`."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self._source = source
        self.size = 0
        self.digest = hashlib.sha256()
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._source:
                self.size += len(chunk)
                self.digest.update(chunk)
                yield chunk
        except Exception as error:
            self.failure = error
            raise

    def read_through(self) -> str:
        """The sha256 (hex) of everything."""
        for _ in self:
            pass
        return self.digest.hexdigest()


def _chunks_of(data: Data) -> Iterable[bytes]:
    if isinstance(data, bytes | bytearray | memoryview):
        return (bytes(data),)
    if isinstance(data, Path):
        return _chunks_of_path(data)
    if hasattr(data, "read"):
        return iter(lambda: data.read(_CHUNK), b"")
    return data


def _chunks_of_path(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _range(start: int, end: int | None) -> obstore.GetOptions | None:
    if end is not None:
        return {"range": (start, end)}
    return {"range": {"offset": start}} if start else None


def _info(key: str, meta: ObjectMeta) -> BlobInfo:
    return BlobInfo(key, meta["size"], meta["e_tag"], meta["last_modified"])


def _is_same_file_system(file: Path, target: Path) -> bool:
    existing = next(folder for folder in target.parents if folder.exists())
    return file.stat().st_dev == existing.stat().st_dev


_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@contextmanager
def _translated(action: str, key: str, measured: _Measured | None = None) -> Iterator[None]:
    """obstore's errors as ours. Its texts name paths of the server, so only the system's reason is kept of them."""
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        if measured is not None and measured.failure is not None:
            raise measured.failure from None
        if isinstance(error, FileNotFoundError):
            raise NotFound(f"there is no blob {key!r}") from error
        number = getattr(error, "errno", None) or next(map(int, _OS_ERROR.findall(str(error))), 0)
        if number in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(
                f"no room is left to {action} the blob {key!r}", hint="Free some space where blobs are stored."
            ) from error
        reason = os.strerror(number) if number else str(error).partition("\n")[0]
        raise StorageFailed(f"could not {action} the blob {key!r}: {reason}") from error
