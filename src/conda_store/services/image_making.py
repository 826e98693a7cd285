"""Making the image of a finished build: layers that nobody has made yet, configuration, manifests.

A layer is looked up by its key first. So an image whose packages are all known is put together without reading one.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import structlog

from conda_store.artifacts.oci.base_image import BaseImage, BaseLayer, read_base_image, write_base_layer
from conda_store.artifacts.oci.documents import (
    ImageDescription,
    ManifestForm,
    architecture,
    image_config,
    image_manifest,
)
from conda_store.artifacts.oci.layer_stream import WrittenLayer
from conda_store.artifacts.oci.own_layer import write_own_layer
from conda_store.artifacts.oci.package_layer import write_package_layer
from conda_store.db import images, layers, locks, specifications
from conda_store.db.images import ManifestRecord
from conda_store.db.records import BuildRecord, SpecificationRecord
from conda_store.domain.artifact import layer_blob_key
from conda_store.domain.image import Activation, ImagePython, Layer, LayerPlan, image_python, plan_layers
from conda_store.domain.lock import PlatformLock
from conda_store.domain.platform import current_platform
from conda_store.errors import NotFound
from conda_store.services.context import Context
from conda_store.services.solving import Silent
from conda_store.storage.blobs import StoredBlob

logger = structlog.get_logger()

_TURN = 0.0003  # seconds
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"


def make_image(context: Context, build: BuildRecord, key: str, scratch: Path) -> StoredBlob:
    """Make whatever is missing of a build's image, and record it; what is stored under `key` is its OCI manifest.

    `scratch` is a path on the environments' file system where there is nothing yet; the caller removes it.

    Raises:
        NotFound: the environment was not built for this platform.
        ArtifactFailed: a package, the environment or the base image cannot be read.
        BuildFailed: a package is not in the cache any more, and cannot be fetched again.
    """
    assert build.lock_digest is not None
    with context.database.read() as connection:
        lock = locks.load(connection, build.lock_digest).on(current_platform())
        specification = specifications.get(connection, build.specification_id)
    if lock is None:
        raise NotFound(f"the environment was not built for {current_platform()}")
    deployment = context.deployment
    base = read_base_image(deployment.base_image, architecture(lock.platform), deployment.base_image_directory)
    scratch.mkdir(parents=True)
    making = _Making(context, build, lock, scratch)
    below = making.base_layers(base)
    # one more for the environment's own files
    budget = max(context.deployment.layer_budget - len(below) - 1, 1)
    packages = making.package_layers(plan_layers(lock, budget))
    activation = Activation()
    for layer in packages:
        activation += layer.activation
    own = making.own_layer(has_scripts=activation.has_scripts and base.config.has_shell)
    every = [*below, *packages, own]
    description = _description(build, specification, lock)
    config = image_config(description, base.config, every, activation)
    return making.record(key, description, config, every)


def _description(build: BuildRecord, specification: SpecificationRecord, lock: PlatformLock) -> ImageDescription:
    variables = specification.spec.get("variables") or {}
    return ImageDescription(
        build.namespace,
        build.environment,
        build.key,
        specification.sha256,
        build.ended_on or build.scheduled_on,
        lock.platform,
        lock.package("python") is not None,
        {str(name): str(value) for name, value in variables.items()},
    )


class _Making:
    """The making of one image."""

    def __init__(self, context: Context, build: BuildRecord, lock: PlatformLock, scratch: Path) -> None:
        self._context = context
        self._build = build
        self._lock = lock
        self._scratch = scratch
        self._files = 0

    def base_layers(self, base: BaseImage) -> list[Layer]:
        known = self._find([layer.key for layer in base.layers])
        made = {layer.key: self._base_layer(layer) for layer in base.layers if layer.key not in known}
        found = {**known, **self._add(made)}
        return [found[layer.key] for layer in base.layers]

    def _base_layer(self, layer: BaseLayer) -> Layer:
        return self._stored(lambda file: (write_base_layer(layer, file), Activation()), layer.comment)

    def package_layers(self, plans: Sequence[LayerPlan]) -> list[Layer]:
        """The layers of packages: those that are not known are made by as many threads as there are processors."""
        python = image_python(self._lock)
        keys = [plan.key(python) for plan in plans]
        known = self._find(keys)
        missing = {key: plan for key, plan in zip(keys, plans, strict=True) if key not in known}
        if missing:
            logger.info("layers to be made", build_id=self._build.id, count=len(missing), known=len(known))
            known |= self._add(self._make_layers(missing, python))
        return [known[key] for key in keys]

    def _make_layers(self, plans: dict[str, LayerPlan], python: ImagePython | None) -> dict[str, Layer]:
        # the python record is needed to place noarch packages
        wanted = {package.name for plan in plans.values() for package in plan.packages} | {"python"}
        part = replace(self._lock, conda=tuple(package for package in self._lock.conda if package.name in wanted))
        directories = asyncio.run(self._context.builder.extracted(part, self._scratch / "packages", Silent()))
        largest_first = sorted(plans.items(), key=lambda item: -sum(package.size or 0 for package in item[1].packages))
        with _quick_turns(), ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="layers") as threads:
            made = threads.map(
                lambda item: (
                    item[0],
                    self._stored(
                        lambda file: write_package_layer(item[1], directories, python, file), _comment(item[1])
                    ),
                ),
                largest_first,
            )
            return dict(made)

    def own_layer(self, *, has_scripts: bool) -> Layer:
        assert self._build.prefix is not None
        prefix = Path(self._build.prefix)
        is_plain = not self._lock.pypi and not self._context.deployment.link_script_packages
        return self._stored(
            lambda file: (write_own_layer(prefix, file, is_plain=is_plain, has_scripts=has_scripts), Activation()),
            f"files of {self._build.namespace}/{self._build.environment} itself",
        )

    def record(self, key: str, description: ImageDescription, config: bytes, every: Sequence[Layer]) -> StoredBlob:
        """Store the configuration, and make the manifests known."""
        manifests = [image_manifest(form, config, every, description) for form in ManifestForm]
        records = [ManifestRecord(manifest.digest, manifest.form.value, manifest.content) for manifest in manifests]
        digest = hashlib.sha256(config).hexdigest()
        self._context.blobs.put(layer_blob_key(digest), config, _CONFIG_TYPE)
        blobs = {layer.digest: layer.size for layer in every} | {digest: len(config)}
        with self._context.database.write() as connection:
            images.add(connection, self._build.id, records, blobs)
        return StoredBlob(key, len(manifests[0].content), manifests[0].digest)

    def _stored(self, write: Callable[[BinaryIO], tuple[WrittenLayer, Activation]], comment: str) -> Layer:
        """Write a layer to a file, which the storage then takes over under its digest."""
        self._files += 1
        path = self._scratch / f"layer-{self._files}-{os.urandom(4).hex()}"
        with path.open("wb", buffering=0) as file:
            written, activation = write(file)
        self._context.blobs.put_file(layer_blob_key(written.digest), path, _LAYER_TYPE, sha256=written.digest)
        return Layer(written.digest, written.diff_id, written.size, written.content_size, comment, activation)

    def _find(self, keys: Sequence[str]) -> dict[str, Layer]:
        with self._context.database.read() as connection:
            return layers.find(connection, keys)

    def _add(self, made: dict[str, Layer]) -> dict[str, Layer]:
        with self._context.database.write() as connection:
            return layers.add(connection, made)


@contextmanager
def _quick_turns() -> Iterator[None]:
    """Threads that come back from compressing get their turn at once: half the time on two processors."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _comment(plan: LayerPlan) -> str:
    first = plan.packages[0]
    if len(plan.packages) == 1:
        return f"{first.name} {first.version} {first.build}"
    return f"{len(plan.packages)} small packages, {first.name} to {plan.packages[-1].name}"
