"""The JSON of an image: configuration and manifest, in the forms of OCI (image-spec 1.1) and of Docker (schema 2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from conda_store.artifacts.oci.own_layer import ENTRYPOINT
from conda_store.domain.image import IMAGE_PREFIX, Activation, Layer
from conda_store.domain.platform import Platform
from conda_store.errors import ArtifactFailed

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ManifestForm(StrEnum):
    """The media type of a manifest."""

    OCI = "application/vnd.oci.image.manifest.v1+json"
    DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


INDEX_TYPES = {
    ManifestForm.OCI: "application/vnd.oci.image.index.v1+json",
    ManifestForm.DOCKER: "application/vnd.docker.distribution.manifest.list.v2+json",
}
_CONFIG_TYPES = {
    ManifestForm.OCI: "application/vnd.oci.image.config.v1+json",
    ManifestForm.DOCKER: "application/vnd.docker.container.image.v1+json",
}
_LAYER_TYPES = {
    ManifestForm.OCI: "application/vnd.oci.image.layer.v1.tar+gzip",
    ManifestForm.DOCKER: "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
ZSTD_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+zstd"
ARCHITECTURES = {Platform.LINUX_64: "amd64", Platform.LINUX_AARCH64: "arm64", Platform.LINUX_PPC64LE: "ppc64le"}


def architecture(platform: Platform) -> str:
    """The name of a platform's processor in image configurations.

    Raises:
        ArtifactFailed: there are no images for the platform.
    """
    if platform not in ARCHITECTURES:
        raise ArtifactFailed(f"an environment for {platform} cannot become an image", hint="Images are made for Linux.")
    return ARCHITECTURES[platform]


@dataclass(frozen=True)
class BaseConfig:
    """What the base image's configuration says; `has_shell` is false only of the empty one."""

    environment: tuple[str, ...] = ()
    user: str = ""
    working_directory: str = ""
    has_shell: bool = True


@dataclass(frozen=True)
class ImageDescription:
    """What an image is of. `variables` are those of the environment's specification."""

    namespace: str
    environment: str
    build_id: int
    build_key: str
    specification: str
    created: datetime
    platform: Platform
    has_python: bool
    variables: Mapping[str, str] = field(default_factory=dict)


def image_config(
    description: ImageDescription, base: BaseConfig, layers: Sequence[Layer], activation: Activation
) -> bytes:
    """The configuration; `layers` are all of them, those of the base first."""
    created = _moment(description.created)
    config: dict[str, Any] = {
        "Env": _environment(description, base, activation),
        "Cmd": _command(description, base),
        "Labels": {**image_annotations(description), "conda_store": "0.0.1"},
    }
    if activation.has_scripts and base.has_shell:
        config["Entrypoint"] = [f"{IMAGE_PREFIX}/{ENTRYPOINT}"]
    if base.user:
        config["User"] = base.user
    if base.working_directory:
        config["WorkingDir"] = base.working_directory
    document = {
        "created": created,
        "architecture": architecture(description.platform),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]},
        "history": [{"created": created, "created_by": "conda-store", "comment": layer.comment} for layer in layers],
    }
    return _dumped(document)


def _environment(description: ImageDescription, base: BaseConfig, activation: Activation) -> list[str]:
    variables = {
        "PATH": _SYSTEM_PATH,
        **dict(item.partition("=")[::2] for item in base.environment),
        "CONDA_PREFIX": IMAGE_PREFIX,
        "CONDA_DEFAULT_ENV": description.environment,
        "CONDA_SHLVL": "1",
        **activation.variables,
        **description.variables,
    }
    # commands of the environment come first, whoever sets the rest
    variables["PATH"] = f"{IMAGE_PREFIX}/bin:{variables['PATH']}"
    return [f"{name}={value}" for name, value in variables.items()]


def _command(description: ImageDescription, base: BaseConfig) -> list[str]:
    if base.has_shell:
        return ["/bin/sh"]
    return [f"{IMAGE_PREFIX}/bin/python"] if description.has_python else []


def image_annotations(description: ImageDescription) -> dict[str, str]:
    """The predefined annotations (image-spec, annotations.md)."""
    return {
        "org.opencontainers.image.title": f"{description.namespace}/{description.environment}",
        # as our clients and notebooks name a build
        "org.opencontainers.image.source": (
            f"conda-store://{description.namespace}/{description.environment}:{description.build_id}"
        ),
        "org.opencontainers.image.version": description.build_key,
        "org.opencontainers.image.revision": description.specification,
        "org.opencontainers.image.created": _moment(description.created),
    }


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index; `digest` is of `content`, sha256 in hex."""

    media_type: str
    content: bytes
    digest: str


def image_manifest(
    form: ManifestForm, config: bytes, layers: Sequence[Layer], description: ImageDescription
) -> Manifest:
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": form.value,
        "config": {
            "mediaType": _CONFIG_TYPES[form],
            "size": len(config),
            "digest": f"sha256:{hashlib.sha256(config).hexdigest()}",
        },
        "layers": [
            {"mediaType": _LAYER_TYPES[form], "size": layer.size, "digest": f"sha256:{layer.digest}"}
            for layer in layers
        ],
    }
    if form is ManifestForm.OCI:
        document["annotations"] = image_annotations(description)
    return _manifest(form.value, document)


def image_index(
    form: ManifestForm, images: Sequence[tuple[Platform, Manifest]], description: ImageDescription
) -> Manifest:
    """What clients choose the image of their platform from (Docker: manifest list)."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPES[form],
        "manifests": [
            {
                "mediaType": manifest.media_type,
                "size": len(manifest.content),
                "digest": f"sha256:{manifest.digest}",
                "platform": {"architecture": architecture(platform), "os": "linux"},
            }
            for platform, manifest in images
        ],
    }
    if form is ManifestForm.OCI:
        document["annotations"] = image_annotations(description)
    return _manifest(INDEX_TYPES[form], document)


def zstd_manifest(manifest: bytes, layers: Sequence[Layer]) -> Manifest:
    """An OCI manifest with the same layers in zstd."""
    document = json.loads(manifest)
    document["layers"] = [
        {"mediaType": ZSTD_LAYER_TYPE, "size": layer.size, "digest": f"sha256:{layer.digest}"} for layer in layers
    ]
    return _manifest(ManifestForm.OCI.value, document)


def zstd_index(index: bytes, manifests: Mapping[str, Manifest]) -> Manifest:
    """An OCI index with other manifests in place of those that it has, by their digests."""
    document = json.loads(index)
    for item in document["manifests"]:
        manifest = manifests[item["digest"].removeprefix("sha256:")]
        item |= {"size": len(manifest.content), "digest": f"sha256:{manifest.digest}"}
    return _manifest(INDEX_TYPES[ManifestForm.OCI], document)


def _manifest(media_type: str, document: Mapping[str, Any]) -> Manifest:
    content = _dumped(document)
    return Manifest(media_type, content, hashlib.sha256(content).hexdigest())


def _dumped(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
