"""Making the image of a finished build: layers that nobody has made yet, configuration, manifests.

A layer is looked up by its key first. So an image whose packages are all known is put together without reading one.
Where the lock has several platforms of Linux, there is an image for each, and an index of them: no code is run to make
a layer.

An image of conda packages alone is made of the lock, while the build is still installing them; where something else
is in it, it is read from the environment at the end.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from conda_store.artifacts.oci.base_image import read_base_image
from conda_store.artifacts.oci.documents import (
    ARCHITECTURES,
    INDEX_TYPES,
    ImageDescription,
    Manifest,
    ManifestForm,
    architecture,
    image_config,
    image_index,
    image_manifest,
)
from conda_store.builder.activation import STATE, state
from conda_store.builder.conda_meta import HISTORY, history
from conda_store.builder.ports import InstallRequest
from conda_store.db import artifacts, images, kept_blobs, locks, specifications
from conda_store.db.images import ManifestRecord
from conda_store.db.records import BuildRecord, SpecificationRecord
from conda_store.domain.artifact import ArtifactType, image_key, layer_blob_key
from conda_store.domain.build import BuildStatus
from conda_store.domain.deployment import Deployment
from conda_store.domain.image import Activation, Compression, Layer, do_packages_collide, plan_layers
from conda_store.domain.lock import Lock, PlatformLock
from conda_store.domain.platform import Platform, current_platform
from conda_store.domain.specification import environment_variables, requested_specs, stored_specification
from conda_store.errors import ArtifactFailed, CondaStoreError, NotFound
from conda_store.services.auditing import by_itself
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
        NeedsPrefix: the build has not ended, and the image needs what it installs.
    """
    assert build.lock_digest is not None
    with context.database.read() as connection:
        lock = locks.load(connection, build.lock_digest)
        specification = specifications.get(connection, build.specification_id)
    platforms = _platforms(lock)
    scratch.mkdir(parents=True)
    try:
        made = _images(context, build, specification, platforms, scratch)
    except (CondaStoreError, OSError) as error:
        if build.status is BuildStatus.COMPLETED:
            raise
        logger.info("image waits for the end of its build", build_id=build.id, error=str(error))
        raise NeedsPrefix from error
    return _record(context, build, key, made)


def finished_image(context: Context, build: BuildRecord, scratch: Path) -> tuple[ManifestRecord, ...]:
    """The OCI manifests of a build's image, and the index of them; it is made if need be (see `make_image`)."""
    forms = (INDEX_TYPES[ManifestForm.OCI], ManifestForm.OCI.value)
    with context.database.read() as connection:
        found = images.manifests_of_build(connection, build.id, forms)
    if found:
        return found
    made = make_image(context, build, image_key(build.key), scratch)
    with context.database.write() as connection:
        found = images.manifests_of_build(connection, build.id, forms)
        if not found:
            raise ArtifactFailed("the build has been given up as soon as its image was made")
        artifacts.add(connection, build.id, ArtifactType.DOCKER_MANIFEST, made.key, size=made.size, sha256=made.sha256)
    return found


class NeedsPrefix(Exception):
    """An image cannot be made before the build has completed."""


def is_plain(lock: Lock, deployment: Deployment) -> bool:
    """Whether the image is known from the lock, unless packages collide: no pip, no scripts at the installation."""
    return not deployment.link_script_packages and not any(part.pypi for part in lock.platforms)


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
        self._specification = stored_specification(specification.spec)
        self._lock = lock
        self._scratch = scratch
        self._description = _description(build, specification, lock)

    def image(self) -> _Image:
        deployment = self._context.deployment
        self._scratch.mkdir()
        base = read_base_image(
            deployment.base_image,
            architecture(self._lock.platform),
            deployment.base_image_directory,
            deployment.registry_logins,
            deployment.addresses,
            self._scratch,
        )
        # one more is for the environment's own files
        budget = deployment.layer_budget - len(base.layers) - 1
        if budget < 1:
            raise ArtifactFailed(
                f"the base image has {len(base.layers)} layers, and the whole image may have {deployment.layer_budget}",
                hint="Choose another base image, or raise c.CondaStore.image_layer_budget.",
            )
        maker = LayerMaker(self._context, self._lock, self._scratch, self._build.namespace)
        below, packages = maker.layers(base, plan_layers(self._lock, budget))
        activation = Activation()
        for layer in packages:
            activation += layer.activation
        has_scripts = activation.has_scripts and base.config.has_shell
        own = self._own_layer(maker, do_packages_collide(packages), has_scripts=has_scripts)
        every = [*below, *packages, own]
        config = image_config(self._description, base.config, every, activation)
        digest = hashlib.sha256(config).hexdigest()
        with self._context.database.write() as connection:
            kept_blobs.claim(connection, [digest])
        self._context.blobs.put(layer_blob_key(digest), config, _CONFIG_TYPE)
        manifests = {form: image_manifest(form, config, every, self._description) for form in ManifestForm}
        blobs = {layer.digest: layer.size for layer in every} | {digest: len(config)}
        return _Image(self._lock.platform, manifests, blobs, self._description)

    def _own_layer(self, maker: LayerMaker, do_collide: bool, *, has_scripts: bool) -> Layer:
        comment = f"files of {self._build.namespace}/{self._build.environment} itself"
        is_known = not self._lock.pypi and not self._context.deployment.link_script_packages
        if do_collide or not is_known:
            return maker.own_layer(self._prefix(), comment, has_scripts=has_scripts)
        text = history(self._lock.conda, requested_specs(self._specification), self._build.scheduled_on)
        files = {HISTORY: text.encode(), STATE: state(self._description.variables)}
        return maker.plain_layer({path: data for path, data in files.items() if data}, comment, has_scripts=has_scripts)

    def _prefix(self) -> Path:
        """Where the environment lies; one of another platform is laid out for this, without running anything."""
        if self._build.status is not BuildStatus.COMPLETED:
            raise NeedsPrefix
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
        request = InstallRequest(
            lock=self._lock,
            staging=self._scratch / "staging",
            prefix=prefix,
            requested=requested_specs(self._specification),
            variables=self._description.variables,
            moment=self._build.scheduled_on,
            trash=self._context.deployment.trash_directory,
            credentials=usable_credentials(self._context, self._build.namespace),
        )
        asyncio.run(self._context.builder.install(request, Silent()))
        return prefix


def _images(
    context: Context,
    build: BuildRecord,
    specification: SpecificationRecord,
    platforms: Sequence[PlatformLock],
    scratch: Path,
) -> list[_Image]:
    """Of all platforms that there can be one for, this machine's first."""
    first, *others = platforms
    made = [_Making(context, build, specification, first, scratch / "first").image()]
    for number, platform in enumerate(others):
        try:
            made.append(_Making(context, build, specification, platform, scratch / f"other-{number}").image())
        except (CondaStoreError, OSError) as error:
            # the image of this machine's platform is there for all that
            logger.warning("image of another platform", build_id=build.id, platform=platform.platform, error=str(error))
    return made


def _description(build: BuildRecord, specification: SpecificationRecord, lock: PlatformLock) -> ImageDescription:
    return ImageDescription(
        build.namespace,
        build.environment,
        build.id,
        build.key,
        specification.sha256,
        build.scheduled_on,
        lock.platform,
        lock.package("python") is not None,
        environment_variables(stored_specification(specification.spec)),
    )


def _record(context: Context, build: BuildRecord, key: str, made: Sequence[_Image]) -> StoredBlob:
    """Make the manifests known, and an index where there are several; see `record_image`."""
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
    record_image(context, build, records, blobs, Compression.GZIP)
    first = made[0].manifests[ManifestForm.OCI]
    return StoredBlob(key, len(first.content), first.digest)


def record_image(
    context: Context,
    build: BuildRecord,
    records: Sequence[ManifestRecord],
    blobs: Mapping[str, int],
    compression: Compression,
) -> None:
    """Make the manifests of an image known; `blobs` are sizes by digest.

    Raises:
        ArtifactFailed: the build has been given up, or the making took so long that unused blobs were swept away
            meanwhile.
    """
    assert build.lock_digest is not None
    with context.database.write() as connection:
        if not images.is_wanted(connection, build.id, build.lock_digest):
            raise ArtifactFailed("the build has been given up, or tries again with other packages")
        if not kept_blobs.are_all_kept(connection, blobs):
            raise ArtifactFailed("layers were swept away while the image was being made", hint="Ask for it again.")
        images.add(connection, build.id, records, blobs, compression)


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
    if removed:
        with by_itself() as note, context.database.write():
            note("layers::sweep", detail=f"{removed} layers that no image has any more")
    return removed
