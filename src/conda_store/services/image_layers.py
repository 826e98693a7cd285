"""The layers of an image: those that are known by their key, and those that have to be made.

Whatever is going to be used is claimed first, so that nobody sweeps it away meanwhile (`db.kept_blobs`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

import structlog

from conda_store.artifacts.oci.base_image import BaseImage, BaseLayer, write_base_layer
from conda_store.artifacts.oci.layer_processes import LayerProcesses
from conda_store.artifacts.oci.layer_stream import WrittenLayer
from conda_store.artifacts.oci.layer_work import LayerWork
from conda_store.artifacts.oci.own_layer import write_own_layer, write_plain_layer
from conda_store.artifacts.oci.package_layer import PackageLayer
from conda_store.db import kept_blobs, layers
from conda_store.domain.artifact import layer_blob_key
from conda_store.domain.image import Activation, ImagePython, Layer, LayerPlan, image_python
from conda_store.domain.lock import PlatformLock
from conda_store.services.context import Context
from conda_store.services.credentials import usable_credentials
from conda_store.services.solving import Silent

logger = structlog.get_logger()

_PORTION = 64 << 20  # bytes


class MadeLayer(NamedTuple):
    """A layer that is written to a file, and not yet in the storage."""

    file: Path
    layer: PackageLayer
    comment: str


class LayerKeeper:
    """Layers that are known, and those that become so; `scratch` is a directory for files on the way."""

    media_type = "application/vnd.oci.image.layer.v1.tar+gzip"

    def __init__(self, context: Context, scratch: Path) -> None:
        self._context = context
        self._scratch = scratch

    def _written(self, write: Callable[[BinaryIO], WrittenLayer], comment: str) -> MadeLayer:
        path = self._file()
        with path.open("wb", buffering=0) as file:
            written = write(file)
        return MadeLayer(path, PackageLayer(written, Activation(), b""), comment)

    def _file(self) -> Path:
        return self._scratch / f"layer-{os.urandom(8).hex()}"

    def _stored(self, made: Iterable[MadeLayer]) -> Iterator[tuple[MadeLayer, Layer]]:
        """The storage takes the files over, each under its digest, as they come."""
        for some in _portions(made):
            with self._context.database.write() as connection:
                kept_blobs.claim(connection, [item.layer.written.digest for item in some])
            yield from ((item, self._put(item)) for item in some)

    def _put(self, made: MadeLayer) -> Layer:
        written = made.layer.written
        self._context.blobs.put_file(layer_blob_key(written.digest), made.file, self.media_type, sha256=written.digest)
        return Layer(
            written.digest,
            written.diff_id,
            written.size,
            written.content_size,
            made.comment,
            made.layer.activation,
            made.layer.path_marks,
        )

    def _known(self, keys: Sequence[str]) -> dict[str, Layer]:
        with self._context.database.write() as connection:
            found = layers.find(connection, keys)
            kept_blobs.claim(connection, [layer.digest for layer in found.values()])
        return found

    def _add(self, made: dict[str, Layer]) -> dict[str, Layer]:
        """Make them known; of those that somebody else has made meanwhile, theirs count."""
        with self._context.database.write() as connection:
            added = layers.add(connection, made)
            kept_blobs.claim(connection, [layer.digest for layer in added.values()])
        return added


class LayerMaker(LayerKeeper):
    """Makes the layers of one image. Packages that are not in the cache any more are fetched with the credentials of
    the namespace."""

    def __init__(self, context: Context, lock: PlatformLock, scratch: Path, namespace: str) -> None:
        super().__init__(context, scratch)
        self._lock = lock
        self._namespace = namespace

    def layers(self, base: BaseImage, plans: Sequence[LayerPlan]) -> tuple[list[Layer], list[Layer]]:
        """The layers of a base image, and those of packages; what is not known of them is made."""
        python = image_python(self._lock)
        base_layers = {layer.key: layer for layer in base.layers}
        packages = {plan.key(python): plan for plan in plans}
        found = self._known([*base_layers, *packages])
        missing = {key: plan for key, plan in packages.items() if key not in found}
        if missing:
            known = len(packages) - len(missing)
            logger.info("layers to be made", platform=self._lock.platform, count=len(missing), known=known)
        # the processes start while there is something else to do
        with LayerProcesses(list(missing.values())) as processes:
            made = {key: self._base_layer(layer) for key, layer in base_layers.items() if key not in found}
            if missing:
                made |= self._package_layers(missing, python, processes)
        if made:
            found |= self._add(made)
        return [found[layer.key] for layer in base.layers], [found[key] for key in packages]

    def _base_layer(self, layer: BaseLayer) -> Layer:
        return self._one(lambda file: write_base_layer(layer, file), layer.comment)

    def _one(self, write: Callable[[BinaryIO], WrittenLayer], comment: str) -> Layer:
        ((_, layer),) = self._stored([self._written(write, comment)])
        return layer

    def _package_layers(
        self, plans: Mapping[str, LayerPlan], python: ImagePython | None, processes: LayerProcesses
    ) -> dict[str, Layer]:
        works = {
            key: LayerWork(
                plan, {package.name: self._directories[package.name] for package in plan.packages}, python, self._file()
            )
            for key, plan in plans.items()
        }
        keys = {work.file: key for key, work in works.items()}
        with closing(processes.written(works.values())) as written:
            made = (MadeLayer(work.file, layer, _comment(work.plan)) for work, layer in written)
            return {keys[item.file]: layer for item, layer in self._stored(made)}

    def plain_layer(self, files: Mapping[str, bytes], comment: str, *, has_scripts: bool) -> Layer:
        """The layer of an environment's own `files` (see `write_plain_layer`)."""
        return self._one(lambda file: write_plain_layer(files, file, has_scripts=has_scripts), comment)

    def own_layer(self, prefix: Path, comment: str, *, has_scripts: bool) -> Layer:
        """The layer of what is the environment's own at `prefix` (see `write_own_layer`)."""
        return self._one(lambda file: write_own_layer(prefix, file, has_scripts=has_scripts), comment)

    @cached_property
    def _directories(self) -> Mapping[str, Path]:
        """The extracted packages by name."""
        credentials = usable_credentials(self._context, self._namespace)
        scratch = self._scratch / "packages"
        return asyncio.run(self._context.builder.extracted(self._lock, scratch, Silent(), credentials))


def _portions(made: Iterable[MadeLayer]) -> Iterator[list[MadeLayer]]:
    """Some at a time: each portion costs a transaction, which others wake up from."""
    some: list[MadeLayer] = []
    for item in made:
        some.append(item)
        if sum(item.layer.written.size for item in some) >= _PORTION:
            yield some
            some = []
    if some:
        yield some


def _comment(plan: LayerPlan) -> str:
    return ", ".join(f"{package.name} {package.version} {package.build}" for package in plan.packages)
