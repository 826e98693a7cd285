"""Pushing the image of a build to other registries, as one of its artifacts."""

from __future__ import annotations

from pathlib import Path

from conda_store.artifacts.oci.documents import INDEX_TYPES, ManifestForm
from conda_store.artifacts.oci.layouts import image_of, push
from conda_store.artifacts.oci.logins import login_for
from conda_store.artifacts.oci.remote import Remote, RemoteManifest, parse_reference
from conda_store.db import images
from conda_store.db.images import ManifestRecord
from conda_store.db.records import BuildRecord
from conda_store.domain.artifact import layer_blob_key
from conda_store.errors import ArtifactFailed
from conda_store.services.context import Context
from conda_store.services.image_making import finished_image
from conda_store.storage.blobs import StoredBlob


def push_image(context: Context, build: BuildRecord, key: str, scratch: Path) -> StoredBlob:
    """Push a build's image to where `key` says (`registry.example/team/name:tag`); it is made if need be.

    `scratch` is a path where there is nothing yet; the caller removes it.

    Raises:
        ArtifactFailed: the registry refuses, or the image cannot be made.
        ConfigurationError: the file of logins cannot be read.
    """
    reference = parse_reference(key)
    if reference is None:
        raise ArtifactFailed(
            f"{key!r} names no image in a registry",
            hint="Names in registries are in lower case: see c.CondaStore.push_images_to.",
        )
    records = {record.digest: record for record in finished_image(context, build, scratch)}
    top = next((record for record in records.values() if record.media_type == INDEX_TYPES[ManifestForm.OCI]), None)
    image = image_of(
        _remote(top or next(iter(records.values()))), lambda digest: _remote(records[digest.removeprefix("sha256:")])
    )
    with context.database.read() as connection:
        digests = [blob.digest.removeprefix("sha256:") for blob in image.blobs]
        pushed = images.pushed_with(connection, digests, f"{key.partition('/')[0]}/")
    mounts = {
        f"sha256:{digest}": other.name
        for digest, pushed_key in pushed.items()
        if (other := parse_reference(pushed_key)) and other.host == reference.host and other.name != reference.name
    }
    logins = context.deployment.registry_logins
    login = login_for(logins, reference.host) if logins is not None else None
    push(
        image,
        lambda digest: context.blobs.chunks(layer_blob_key(digest.removeprefix("sha256:"))),
        Remote(reference.url, reference.name, login, addresses=context.deployment.addresses),
        reference.target,
        mounts,
    )
    return StoredBlob(key, len(image.top.content), image.top.digest.removeprefix("sha256:"))


def _remote(record: ManifestRecord) -> RemoteManifest:
    return RemoteManifest(record.content, record.media_type)
