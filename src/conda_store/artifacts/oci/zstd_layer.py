"""A layer in zstd, made of the same layer in gzip: the tar in it, and so its diffID, stays what it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import zstandard
from isal import isal_zlib
from isal.igzip_lib import IsalError

from conda_store.artifacts.blocks import GZIP_WINDOW
from conda_store.artifacts.oci.layer_stream import WrittenLayer
from conda_store.errors import ArtifactFailed

_BLOCK = 4 << 20
_LEVEL = 3


def write_zstd_layer(source: Iterable[bytes], diff_id: str, destination: BinaryIO) -> WrittenLayer:
    """Compress again what is in a layer; `source` is its blob, `diff_id` the sha256 (hex) of the tar in it.

    Raises:
        ArtifactFailed: the layer is damaged.
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
    content_digest, digest = hashlib.sha256(), hashlib.sha256()
    content_size = size = 0
    try:
        for block in _inflated(source):
            content_digest.update(block)
            content_size += len(block)
            data = compressor.compress(block)
            size += destination.write(data)
            digest.update(data)
    except IsalError as error:  # type: ignore[misc]
        raise ArtifactFailed(f"a layer cannot be read: {error}") from error
    data = compressor.flush()
    size += destination.write(data)
    digest.update(data)
    if content_digest.hexdigest() != diff_id:
        raise ArtifactFailed(f"the layer with the diffID sha256:{diff_id} is damaged in the storage")
    return WrittenLayer(digest.hexdigest(), diff_id, size, content_size)


def _inflated(source: Iterable[bytes]) -> Iterator[bytes]:
    """In blocks: what is small in gzip may be large."""
    inflater = isal_zlib.decompressobj(GZIP_WINDOW)
    for chunk in source:
        rest = chunk
        while rest:
            yield inflater.decompress(rest, _BLOCK)
            rest = inflater.unconsumed_tail
    yield inflater.flush()
