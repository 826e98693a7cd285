"""Making the image of a finished build: layers that nobody has made yet, configuration, manifests.

A layer is looked up by its key first. So an image whose packages are all known is put together without reading one.
Where the lock has several platforms of Linux, there is an image for each, and an index of them: no code is run to make
a layer.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from conda_store.artifacts.oci.base_image import read_base_image
from conda_store.artifacts.oci.documents import (
    ARCHITECTURES,
    ImageDescription,
    Manifest,
    ManifestForm,
    architecture,
    image_config,
    image_index,
    image_manifest,
)
from conda_store.builder.ports import InstallRequest
from conda_store.db import images, kept_blobs, locks, specifications
from conda_store.db.images import ManifestRecord
from conda_store.db.records import BuildRecord, SpecificationRecord
from conda_store.domain.artifact import layer_blob_key
from conda_store.domain.image import Activation, plan_layers
from conda_store.domain.lock import Lock, PlatformLock
from conda_store.domain.platform import Platform, current_platform
from conda_store.errors import ArtifactFailed, CondaStoreError, NotFound
from conda_store.services.context import Context
from conda_store.services.credentials import usable_credentials
from conda_store.services.image_layers import LayerMaker
from conda_store.services.solving import Silent
from conda_store.storage.blobs import StoredBlob

logger = structlog.get_logger()

_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"


def make_image(context: Context, build: BuildRecord, key: str, scratch: Path) -> StoredBlob:
    """Make whatever is missing of a build's image, and record it; what is stored under `key` is its OCI manifest.

    `scratch` is a path on the environments' file system where there is nothing yet; the caller removes it.

    Raises:
        NotFound: the environment was not solved for Linux.
        ArtifactFailed: a package, the environment or the base image cannot be read.
        BuildFailed: a package is not in the cache any more, and cannot be fetched again.
    """
    assert build.lock_digest is not None
    with context.database.read() as connection:
        lock = locks.load(connection, build.lock_digest)
        specification = specifications.get(connection, build.specification_id)
    first, *others = _platforms(lock)
    scratch.mkdir(parents=True)
    made = [_Making(context, build, specification, first, scratch / "first").image()]
    for number, platform in enumerate(others):
        try:
            made.append(_Making(context, build, specification, platform, scratch / f"other-{number}").image())
        except (CondaStoreError, OSError) as error:
            # the image of this machine's platform is there for all that
            logger.warning("image of another platform", build_id=build.id, platform=platform.platform, error=str(error))
    return _record(context, build, key, made)


def _platforms(lock: Lock) -> list[PlatformLock]:
    """Those that there are images for: this machine's first."""
    ours = current_platform()
    found = [item for item in lock.platforms if item.platform in ARCHITECTURES]
    if not found:
        solved = ", ".join(item.platform for item in lock.platforms)
        raise NotFound(f"the environment was solved for {solved}, and there are images for Linux only")
    return sorted(found, key=lambda item: (item.platform != ours, item.platform))


@dataclass(frozen=True)
class _Image:
    """What was made for one platform; `blobs` are sizes by digest."""

    platform: Platform
    manifests: Mapping[ManifestForm, Manifest]
    blobs: Mapping[str, int]
    description: ImageDescription


class _Making:
    """The making of the image for one platform."""

    def __init__(
        self,
        context: Context,
        build: BuildRecord,
        specification: SpecificationRecord,
        lock: PlatformLock,
        scratch: Path,
    ) -> None:
        self._context = context
        self._build = build
        self._specification: Mapping[str, Any] = specification.spec
        self._lock = lock
        self._scratch = scratch
        self._description = _description(build, specification, lock)

    def image(self) -> _Image:
        deployment = self._context.deployment
        self._scratch.mkdir()
        reference, kept = deployment.base_image, deployment.base_image_directory
        base = read_base_image(reference, architecture(self._lock.platform), kept, deployment.registry_logins)
        maker = LayerMaker(self._context, self._lock, self._scratch, self._build.namespace)
        below = maker.base_layers(base)
        # one more for the environment's own files
        budget = max(deployment.layer_budget - len(below) - 1, 1)
        packages = maker.package_layers(plan_layers(self._lock, budget))
        activation = Activation()
        for layer in packages:
            activation += layer.activation
        own = maker.own_layer(
            self._prefix(),
            f"files of {self._build.namespace}/{self._build.environment} itself",
            is_plain=not self._lock.pypi and not deployment.link_script_packages,
            has_scripts=activation.has_scripts and base.config.has_shell,
        )
        every = [*below, *packages, own]
        config = image_config(self._description, base.config, every, activation)
        digest = hashlib.sha256(config).hexdigest()
        with self._context.database.write() as connection:
            kept_blobs.claim(connection, [digest])
        self._context.blobs.put(layer_blob_key(digest), config, _CONFIG_TYPE)
        manifests = {form: image_manifest(form, config, every, self._description) for form in ManifestForm}
        blobs = {layer.digest: layer.size for layer in every} | {digest: len(config)}
        return _Image(self._lock.platform, manifests, blobs, self._description)

    def _prefix(self) -> Path:
        """Where the environment lies; one of another platform is laid out for this, without running anything."""
        if self._lock.platform == current_platform():
            assert self._build.prefix is not None
            return Path(self._build.prefix)
        if self._lock.pypi:
            raise ArtifactFailed(
                f"an image for {self._lock.platform} cannot be made: what pip installs is there for "
                f"{current_platform()} only",
                hint="Take the packages from conda channels.",
            )
        prefix = self._scratch / "prefix"
        dependencies = self._specification.get("dependencies") or ()
        request = InstallRequest(
            lock=self._lock,
            staging=self._scratch / "staging",
            prefix=prefix,
            requested=tuple(line for line in dependencies if isinstance(line, str)),
            variables=self._description.variables,
            trash=self._context.deployment.trash_directory,
            credentials=usable_credentials(self._context, self._build.namespace),
        )
        asyncio.run(self._context.builder.install(request, Silent()))
        return prefix


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


def _record(context: Context, build: BuildRecord, key: str, made: Sequence[_Image]) -> StoredBlob:
    """Make the manifests known, and an index where there are several.

    Raises:
        ArtifactFailed: the making took so long that unused blobs were swept away meanwhile.
    """
    records = [
        ManifestRecord(manifest.digest, form.value, manifest.content, image.platform)
        for image in made
        for form, manifest in image.manifests.items()
    ]
    if len(made) > 1:
        for form in ManifestForm:
            parts = [(image.platform, image.manifests[form]) for image in made]
            index = image_index(form, parts, made[0].description)
            records.append(ManifestRecord(index.digest, index.media_type, index.content))
    blobs = {digest: size for image in made for digest, size in image.blobs.items()}
    with context.database.write() as connection:
        if not kept_blobs.are_all_kept(connection, blobs):
            raise ArtifactFailed("layers were swept away while the image was being made", hint="Ask for it again.")
        images.add(connection, build.id, records, blobs)
    first = made[0].manifests[ManifestForm.OCI]
    return StoredBlob(key, len(first.content), first.digest)


def sweep(context: Context) -> int:
    """Remove the blobs that no image has any more and nobody has used for a while; how many there were."""
    with context.database.write() as connection:
        kept_blobs.doom(connection, context.deployment.unused_layers_are_kept)
        doomed = kept_blobs.doomed(connection)
    removed = 0
    for digest in doomed:
        with context.database.write() as connection:
            if kept_blobs.forget(connection, digest):
                context.blobs.delete(layer_blob_key(digest))
                removed += 1
    return removed
