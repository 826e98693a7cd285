"""What lies below an environment in its image: nothing (`scratch`), an OCI layout (`oci:DIRECTORY`), the files of a
root directory in a tar (`tar:FILE`), or an image that is pulled from a registry.

`{architecture}` in any of these names stands for that of the image (`amd64`, `arm64`).
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from conda_store.artifacts.oci.documents import ARCHITECTURES, BaseConfig
from conda_store.artifacts.oci.layer_stream import LayerStream, WrittenLayer
from conda_store.artifacts.oci.pulling import pulled_layout
from conda_store.artifacts.oci.remote import INDEX_TYPES, parse_reference
from conda_store.domain.addresses import ANY_ADDRESS, AddressPolicy
from conda_store.domain.platform import current_platform
from conda_store.errors import ArtifactFailed

SCRATCH = "scratch"
_ARCHITECTURE = "{architecture}"
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class BaseLayer:
    """A layer of a base image in a file. `key` changes with its content."""

    key: str
    file: Path
    comment: str


@dataclass(frozen=True)
class BaseImage:
    config: BaseConfig
    layers: tuple[BaseLayer, ...] = ()


def base_problem(reference: str) -> str | None:
    """What is wrong with the name of a base image; None if nothing is."""
    named = reference.replace(_ARCHITECTURE, "amd64")
    if named == SCRATCH or named.startswith(("oci:", "tar:")) or parse_reference(named):
        return None
    return f"the base image {reference!r} is none of scratch, oci:DIRECTORY, tar:FILE and the name of an image"


def read_base_image(
    reference: str,
    architecture: str,
    kept: Path,
    logins: Path | None = None,
    addresses: AddressPolicy = ANY_ADDRESS,
    scratch: Path | None = None,
) -> BaseImage:
    """The base image under a name; of several images the one for the architecture (`amd64`). What has to be pulled is
    kept in the directory `kept`, and comes there by way of `scratch` (see `pulled_layout`); `logins` is a file with
    logins to registries, `addresses` says which may be asked.

    Raises:
        ArtifactFailed: there is none.
    """
    if problem := base_problem(reference):
        raise ArtifactFailed(problem)
    is_for_this = _ARCHITECTURE in reference or architecture == ARCHITECTURES.get(current_platform())
    reference = reference.replace(_ARCHITECTURE, architecture)
    kind, _, place = reference.partition(":")
    try:
        if kind == "tar":
            if not is_for_this:
                raise ValueError(
                    f"a tar is of this machine's kind only, not of {architecture}, unless its name says {_ARCHITECTURE}"
                )
            return _of_tar(Path(place))
        if kind == "oci":
            return _of_layout(Path(place), architecture)
        if reference == SCRATCH:
            return BaseImage(BaseConfig(has_shell=False))
        return _of_layout(pulled_layout(reference, architecture, kept, logins, addresses, scratch), architecture)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ArtifactFailed(
            f"the base image {reference!r} cannot be read: {error}",
            hint="See the option c.CondaStore.default_docker_base_image.",
        ) from error


def _of_tar(file: Path) -> BaseImage:
    status = file.stat()
    identity = f"{file.absolute()} {status.st_size} {status.st_mtime_ns}"
    key = hashlib.sha256(f"base tar {identity}".encode()).hexdigest()
    return BaseImage(BaseConfig(), (BaseLayer(key, file, f"base image {file.name}"),))


def _of_layout(directory: Path, architecture: str) -> BaseImage:
    index = json.loads((directory / "index.json").read_bytes())
    manifest = _manifest(directory, index, architecture)
    config = json.loads(_blob(directory, manifest["config"]).read_bytes())
    settings = config.get("config") or {}
    layers = []
    for number, descriptor in enumerate(manifest["layers"]):
        file = _blob(directory, descriptor)
        key = hashlib.sha256(f"base layer {descriptor['digest']}".encode()).hexdigest()
        layers.append(BaseLayer(key, file, f"base image {directory.name}, layer {number + 1}"))
    return BaseImage(
        BaseConfig(
            tuple(settings.get("Env") or ()), settings.get("User") or "", settings.get("WorkingDir") or "", True
        ),
        tuple(layers),
    )


def _manifest(directory: Path, index: dict[str, Any], architecture: str) -> dict[str, Any]:
    fitting = [
        item
        for item in index["manifests"]
        if (item.get("platform") or {}).get("architecture", architecture) == architecture
    ]
    if not fitting:
        raise ValueError(f"it has no image for {architecture}")
    document: dict[str, Any] = json.loads(_blob(directory, fitting[0]).read_bytes())
    if fitting[0].get("mediaType") in INDEX_TYPES:
        return _manifest(directory, document, architecture)
    return document


def _blob(directory: Path, descriptor: dict[str, Any]) -> Path:
    match = _DIGEST.fullmatch(descriptor["digest"])
    if match is None:
        raise ValueError(f"the digest {descriptor['digest']!r} is no sha256")
    return directory / "blobs" / "sha256" / match[1]


def write_base_layer(layer: BaseLayer, destination: BinaryIO) -> WrittenLayer:
    """The layer as gzip, whether its file is a plain tar or is compressed by gzip or zstd.

    Raises:
        ArtifactFailed: it is none of these, or is cut short.
    """
    stream = LayerStream(destination)
    try:
        with layer.file.open("rb") as file:
            for chunk in _content(file):
                stream.write(chunk)
    except (OSError, ValueError, zlib.error) as error:
        raise ArtifactFailed(f"the layer {layer.file.name!r} of the base image cannot be read: {error}") from error
    return stream.finish()


def _content(file: BinaryIO) -> Iterator[bytes]:
    head = file.read(4)
    file.seek(0)
    if head.startswith(_GZIP):
        yield from _inflated(file)
    elif head == _ZSTD:
        import zstandard

        yield from zstandard.ZstdDecompressor().read_to_iter(file)
    else:
        yield from iter(lambda: file.read(_CHUNK), b"")


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    """gzip files may have several members."""
    inflater = zlib.decompressobj(31)
    while chunk := file.read(_CHUNK):
        while chunk:
            yield inflater.decompress(chunk)
            chunk = inflater.unused_data
            if inflater.eof and chunk.strip(b"\0"):
                inflater = zlib.decompressobj(31)
            elif inflater.eof:
                break
    if not inflater.eof:
        raise ValueError("it is cut short")
