"""What a build leaves behind, and under which keys."""

from __future__ import annotations

from enum import StrEnum

from conda_store.domain.image import Compression


class ArtifactType(StrEnum):
    DIRECTORY = "DIRECTORY"
    LOCKFILE = "LOCKFILE"
    LOGS = "LOGS"
    YAML = "YAML"
    CONDA_PACK = "CONDA_PACK"
    DOCKER_MANIFEST = "DOCKER_MANIFEST"
    CONSTRUCTOR_INSTALLER = "CONSTRUCTOR_INSTALLER"
    CONTAINER_REGISTRY = "CONTAINER_REGISTRY"
    DOCKER_BLOB = "DOCKER_BLOB"


class ArtifactState(StrEnum):
    """ON_REQUEST: made when first asked for. REQUESTED, MAKING: a worker will make it, or does. READY: the blob is
    there. FAILED: its message says why."""

    ON_REQUEST = "ON_REQUEST"
    REQUESTED = "REQUESTED"
    MAKING = "MAKING"
    READY = "READY"
    FAILED = "FAILED"


# made in the worker from the finished prefix, when the build ends or on first request
PACKED = (
    ArtifactType.CONDA_PACK,
    ArtifactType.CONSTRUCTOR_INSTALLER,
    ArtifactType.DOCKER_MANIFEST,
    ArtifactType.CONTAINER_REGISTRY,
)

# stored as soon as the lock is known
MADE_OF_LOCK = (ArtifactType.LOCKFILE, ArtifactType.YAML)

_BLOBS: dict[ArtifactType, tuple[str, str, str]] = {
    ArtifactType.LOGS: ("logs", ".log", "text/plain; charset=utf-8"),
    ArtifactType.LOCKFILE: ("lockfile", ".yml", "application/json"),
    ArtifactType.YAML: ("yaml", ".yml", "text/yaml; charset=utf-8"),
    ArtifactType.CONDA_PACK: ("archive", ".tar.gz", "application/gzip"),
    ArtifactType.CONSTRUCTOR_INSTALLER: ("installer", ".sh", "application/octet-stream"),
}
# their keys are those of blobs in the storage, which can be kept when the build is deleted
BLOBS = tuple(_BLOBS)


def blob_key(artifact: ArtifactType, build_key: str) -> str:
    """Where the blob of an artifact is stored: `lockfile/<build key>.yml`."""
    folder, suffix, _ = _BLOBS[artifact]
    return f"{folder}/{build_key}{suffix}"


def image_key(build_key: str, compression: Compression = Compression.GZIP) -> str:
    """The key of a build's image as an artifact; its manifests are in the database, under no key of the storage."""
    folder = "docker/manifest" if compression is Compression.GZIP else f"docker/manifest-{compression}"
    return f"{folder}/{build_key}"


def image_part_key(digest: str, *, is_manifest: bool = False) -> str:
    """The key of a manifest, or else of a layer or configuration, as an artifact, by its sha256 in hex."""
    return f"docker/manifest/sha256:{digest}" if is_manifest else f"docker/blobs/{digest}"


def layer_blob_key(digest: str) -> str:
    """Where a blob of images is stored, by its sha256 in hex: layers, configurations."""
    return f"layers/sha256/{digest}"


def parse_blob_key(key: str) -> tuple[ArtifactType, str] | None:
    """The artifact and the build key of a blob's key; None where it is no artifact's."""
    for artifact, (folder, suffix, _) in _BLOBS.items():
        if key.startswith(f"{folder}/") and key.endswith(suffix):
            return artifact, key[len(folder) + 1 : -len(suffix)]
    return None


def content_type(artifact: ArtifactType) -> str:
    return _BLOBS[artifact][2]
