"""Images with layers in zstd: made of the finished image, layer by layer, without asking what is in them.

The configuration stays the same, since the diffIDs do. A layer that is known in zstd is not made again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from conda_store.artifacts.oci.documents import (
    INDEX_TYPES,
    ZSTD_LAYER_TYPE,
    Manifest,
    ManifestForm,
    zstd_index,
    zstd_manifest,
)
from conda_store.artifacts.oci.zstd_layer import write_zstd_layer
from conda_store.db import kept_blobs
from conda_store.db.images import ManifestRecord
from conda_store.db.records import BuildRecord
from conda_store.domain.artifact import layer_blob_key
from conda_store.domain.image import Compression, Layer, zstd_layer_key
from conda_store.services.context import Context
from conda_store.services.image_layers import LayerKeeper, MadeLayer
from conda_store.services.image_making import finished_image, record_image
from conda_store.storage.blobs import StoredBlob


def make_zstd_image(context: Context, build: BuildRecord, key: str, scratch: Path) -> StoredBlob:
    """Make a build's image with layers in zstd, and record it; the image in gzip is made before if need be.

    `scratch` is a path where there is nothing yet; the caller removes it.

    Raises:
        ArtifactFailed: a layer is damaged; besides what `make_image` raises.
    """
    finished = finished_image(context, build, scratch / "gzip")
    layers = _ZstdLayers(context, scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    made: dict[str, Manifest] = {}
    records: list[ManifestRecord] = []
    blobs: dict[str, int] = {}
    for record in finished:
        if record.media_type != ManifestForm.OCI:
            continue
        config, sources = _content(context, record)
        found = layers.of(sources)
        manifest = made[record.digest] = zstd_manifest(record.content, found)
        records.append(ManifestRecord(manifest.digest, manifest.media_type, manifest.content, record.platform))
        blobs |= config | {layer.digest: layer.size for layer in found}
    for record in finished:
        if record.media_type == INDEX_TYPES[ManifestForm.OCI]:
            index = zstd_index(record.content, made)
            records.append(ManifestRecord(index.digest, index.media_type, index.content))
    record_image(context, build, records, blobs, Compression.ZSTD)
    return StoredBlob(key, len(records[0].content), records[0].digest)


@dataclass(frozen=True)
class _Source:
    """A layer in gzip."""

    digest: str
    diff_id: str
    comment: str


def _content(context: Context, record: ManifestRecord) -> tuple[dict[str, int], Sequence[_Source]]:
    """The configuration that a manifest names (size by digest), and its layers."""
    document = json.loads(record.content)
    digest = document["config"]["digest"].removeprefix("sha256:")
    config = json.loads(context.blobs.get(layer_blob_key(digest)))
    rows = zip(document["layers"], config["rootfs"]["diff_ids"], config["history"], strict=True)
    sources = [
        _Source(layer["digest"].removeprefix("sha256:"), diff_id.removeprefix("sha256:"), entry["comment"])
        for layer, diff_id, entry in rows
    ]
    with context.database.write() as connection:
        kept_blobs.claim(connection, [digest])
    return {digest: document["config"]["size"]}, sources


class _ZstdLayers(LayerKeeper):
    media_type = ZSTD_LAYER_TYPE

    def of(self, sources: Sequence[_Source]) -> list[Layer]:
        """The same layers in zstd: those that are not known are made by as many threads as there are processors."""
        keys = [zstd_layer_key(source.diff_id) for source in sources]
        known = self._known(keys)
        missing = {key: source for key, source in zip(keys, sources, strict=True) if key not in known}
        with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="layers") as threads:
            stored = self._stored(threads.map(self._made, missing.values()))
            made = {key: layer for key, (_, layer) in zip(missing, stored, strict=True)}
        known |= self._add(made)
        return [known[key] for key in keys]

    def _made(self, source: _Source) -> MadeLayer:
        chunks = self._context.blobs.chunks(layer_blob_key(source.digest))
        return self._written(lambda file: write_zstd_layer(chunks, source.diff_id, file), source.comment)
