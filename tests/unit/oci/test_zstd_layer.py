"""Layers in zstd: the same tar as in gzip."""

from __future__ import annotations

import hashlib
import io
import os

import pytest
import zstandard

from conda_store.artifacts.oci.package_layer import write_package_layer
from conda_store.artifacts.oci.zstd_layer import write_zstd_layer
from conda_store.domain.image import LayerPlan
from conda_store.errors import ArtifactFailed
from tests.unit.oci.conftest import Cache


@pytest.mark.parametrize("content", [os.urandom(3 << 20), bytes(20 << 20), b""], ids=["random", "zeros", "empty"])
@pytest.mark.parametrize("piece", [1 << 20, 7919])
def test_the_tar_is_that_of_the_layer_in_gzip(cache: Cache, content: bytes, piece: int) -> None:
    gzip, target = io.BytesIO(), io.BytesIO()
    plan = LayerPlan((cache.add("big", {"lib/big": content}),))
    first = write_package_layer(plan, cache.directories, None, gzip).written
    blob = gzip.getvalue()
    written = write_zstd_layer(
        (blob[start : start + piece] for start in range(0, len(blob), piece)), first.diff_id, target
    )
    tar = zstandard.ZstdDecompressor().decompressobj().decompress(target.getvalue())
    assert hashlib.sha256(tar).hexdigest() == written.diff_id == first.diff_id
    assert written.content_size == first.content_size == len(tar)
    assert written.digest == hashlib.sha256(target.getvalue()).hexdigest()
    assert written.size == len(target.getvalue())


def test_a_damaged_layer_is_refused(cache: Cache) -> None:
    gzip = io.BytesIO()
    plan = LayerPlan((cache.add("big", {"lib/big": os.urandom(1 << 20)}),))
    first = write_package_layer(plan, cache.directories, None, gzip).written
    blob = gzip.getvalue()
    for damaged in (blob[: len(blob) // 2], b"", b"no gzip" + blob):
        with pytest.raises(ArtifactFailed):
            write_zstd_layer([damaged], first.diff_id, io.BytesIO())
