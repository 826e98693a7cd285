"""A layer being written: one pass gives the compressed blob, its digest, and that of what is in it (the diffID)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from isal import isal_zlib

from conda_store.artifacts.blocks import GZIP_WINDOW, Blocks

_BLOCK = 256 << 10
_LEVEL = 2


@dataclass(frozen=True)
class WrittenLayer:
    """Sizes in bytes, digests sha256 in hex: of the compressed blob, and of the tar in it (`diff_id`)."""

    digest: str
    diff_id: str
    size: int
    content_size: int


class LayerStream(Blocks):
    """Compresses with ISA-L into `destination`, without threads of its own.

    Hashing and compressing let other threads run, so several layers are made at once by as many threads.
    """

    def __init__(self, destination: BinaryIO) -> None:
        super().__init__(_BLOCK)
        self._destination = destination
        self._compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, GZIP_WINDOW)
        self._content_digest = hashlib.sha256()
        self._digest = hashlib.sha256()
        self._size = 0

    def finish(self) -> WrittenLayer:
        """Write what is left; the destination stays open."""
        self._pass_on()
        self._save(self._compressor.flush())
        return WrittenLayer(self._digest.hexdigest(), self._content_digest.hexdigest(), self._size, self.position)

    def _pass_on(self) -> None:
        part = self._view[: self._used]
        self._content_digest.update(part)
        self._save(self._compressor.compress(part))
        self._used = 0

    def _save(self, data: bytes) -> None:
        self._destination.write(data)
        self._digest.update(data)
        self._size += len(data)
