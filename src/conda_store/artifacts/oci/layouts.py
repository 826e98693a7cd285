"""Images on the way between registries and OCI layouts (image-spec 1.1, image-layout.md)."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from conda_store.artifacts.oci.remote import DIGEST, Remote, RemoteManifest
from conda_store.errors import ArtifactFailed

Item = TypeVar("Item")
Result = TypeVar("Result")

_AT_ONCE = 4
_HINT = "Name an image of Linux in the form of OCI or Docker, with digests of sha256."
_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True)
class Blob:
    """`digest` with its `sha256:`, `size` in bytes."""

    digest: str
    size: int


@dataclass(frozen=True)
class Image:
    """A manifest, or an index with the manifests that it lists, and the blobs of all of them, each once."""

    top: RemoteManifest
    manifests: tuple[RemoteManifest, ...]
    blobs: tuple[Blob, ...]


@dataclass(frozen=True)
class Moved:
    """What was moved: blobs, and their bytes; `blobs` and `size` are those of the whole image."""

    moved_blobs: int
    moved_size: int
    blobs: int
    size: int


def image_of(top: RemoteManifest, manifest_by_digest: Callable[[str], RemoteManifest]) -> Image:
    """
    Raises:
        ArtifactFailed: it is no image.
    """
    try:
        document = json.loads(top.content)
        if "manifests" in document:
            manifests = tuple(manifest_by_digest(_digest(item)) for item in document["manifests"])
        else:
            manifests = (top,)
        blobs: dict[str, Blob] = {}
        for manifest in manifests:
            content = json.loads(manifest.content)
            for item in (content["config"], *content["layers"]):
                blobs[_digest(item)] = Blob(_digest(item), int(item["size"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactFailed(f"what the registry has under this name is no image: {error}", hint=_HINT) from error
    return Image(top, manifests, tuple(blobs.values()))


def _digest(descriptor: Mapping[str, Any]) -> str:
    digest = str(descriptor["digest"])
    if DIGEST.fullmatch(digest) is None:
        raise ArtifactFailed(f"the digest {digest[:100]!r} is no sha256", hint=_HINT)
    return digest


def save(source: Remote, image: Image, directory: Path, tag: str) -> Moved:
    """Write an image to an OCI layout, beside those that are there already, under the name `tag`.

    Blobs that the layout has are not fetched again. The name is written last: a layout that is cut short is none, or
    what it was before.

    Raises:
        ArtifactFailed: a blob cannot be had.
        OSError: the directory cannot be written.
    """
    folder = directory / "blobs" / "sha256"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [blob for blob in image.blobs if not _has(folder, blob)]

    def fetch(blob: Blob) -> None:
        _write(folder / blob.digest[7:], source.blob(blob.digest))

    _each(fetch, missing)
    for manifest in {*image.manifests, image.top}:
        _write(folder / manifest.digest[7:], [manifest.content])
    _write(directory / "oci-layout", [b'{"imageLayoutVersion":"1.0.0"}'])
    _write(directory / "index.json", [_index(directory / "index.json", image.top, tag)])
    return _moved(image, missing)


def push(
    image: Image,
    content: Callable[[str], Iterable[bytes]],
    target: Remote,
    tag: str,
    mounts: Mapping[str, str] | None = None,
) -> Moved:
    """Write an image to a registry; what is there already is not sent.

    `content` opens a blob by its digest. `mounts` says in which other repository of the same registry a blob may be:
    then it is taken over from there. The tag comes last, so that nobody sees half an image.

    Raises:
        ArtifactFailed: the registry refuses.
    """
    mounts = mounts or {}
    target.allow_writing(mounts.values())

    def send(blob: Blob) -> Blob | None:
        if target.has_blob(blob.digest):
            return None
        if blob.digest in mounts and target.take_over(blob.digest, mounts[blob.digest]):
            return None
        target.upload(blob.digest, blob.size, lambda: content(blob.digest))
        return blob

    # the first alone, so that not all of them log in at once
    first, rest = image.blobs[:1], image.blobs[1:]
    sent = [blob for blob in (*_each(send, first), *_each(send, rest)) if blob is not None]
    if image.top not in image.manifests:
        for manifest in image.manifests:
            target.put_manifest(manifest.digest, manifest)
    target.put_manifest(tag, image.top)
    return _moved(image, sent)


def _each(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="blobs") as threads:
        return list(threads.map(work, items))


def _moved(image: Image, moved: Sequence[Blob]) -> Moved:
    return Moved(len(moved), sum(blob.size for blob in moved), len(image.blobs), sum(blob.size for blob in image.blobs))


def _has(folder: Path, blob: Blob) -> bool:
    file = folder / blob.digest[7:]
    if not file.is_file() or file.stat().st_size != blob.size:
        return False
    with file.open("rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}" == blob.digest


def _write(target: Path, chunks: Iterable[bytes]) -> None:
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        with partial.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _index(file: Path, top: RemoteManifest, tag: str) -> bytes:
    try:
        listed = json.loads(file.read_bytes())["manifests"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        listed = []
    others = [item for item in listed if (item.get("annotations") or {}).get(_NAME) != tag]
    own = {
        "mediaType": top.media_type,
        "digest": top.digest,
        "size": len(top.content),
        "annotations": {_NAME: tag},
    }
    document = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [*others, own]}
    return json.dumps(document, indent=1).encode()
