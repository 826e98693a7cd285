"""What lies below environments, from a tar or an OCI layout."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import zstandard

from conda_store.artifacts.oci.base_image import BaseLayer, base_problem, read_base_image, write_base_layer
from conda_store.artifacts.oci.remote import Reference, parse_reference
from conda_store.errors import ArtifactFailed

NOWHERE = Path("/nowhere/to/be/kept")
CONTENT = b"as if it were a tar" * 100_000


def layout(root: Path, *, nested: bool = False) -> Path:
    """An OCI layout with an image for amd64 and one for arm64."""

    def blob(data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        (root / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        (root / "blobs" / "sha256" / digest).write_bytes(data)
        return f"sha256:{digest}"

    def descriptor(document: Any, **further: Any) -> dict[str, Any]:
        return {"digest": blob(json.dumps(document).encode()), **further}

    def image(architecture: str) -> dict[str, Any]:
        config = {"config": {"Env": ["PATH=/bin", f"ARCH={architecture}"], "User": "me", "WorkingDir": "/work"}}
        layers = [{"digest": blob(gzip.compress(architecture.encode()))}, {"digest": blob(b"plain")}]
        manifest = {"config": descriptor(config), "layers": layers}
        return descriptor(manifest, platform={"architecture": architecture, "os": "linux"})

    index: dict[str, Any] = {"manifests": [image("amd64"), image("arm64")]}
    if nested:
        index = {"manifests": [descriptor(index, mediaType="application/vnd.oci.image.index.v1+json")]}
    (root / "index.json").write_text(json.dumps(index))
    return root


def content(layer: BaseLayer) -> bytes:
    target = io.BytesIO()
    written = write_base_layer(layer, target)
    data = gzip.decompress(target.getvalue())
    assert written.diff_id == hashlib.sha256(data).hexdigest()
    return data


@pytest.mark.parametrize("nested", [False, True])
def test_an_oci_layout(tmp_path: Path, nested: bool) -> None:
    base = read_base_image(f"oci:{layout(tmp_path, nested=nested)}", "arm64", NOWHERE)
    assert base.config.environment == ("PATH=/bin", "ARCH=arm64")
    assert (base.config.user, base.config.working_directory, base.config.has_shell) == ("me", "/work", True)
    assert [content(layer) for layer in base.layers] == [b"arm64", b"plain"]


def test_layers_of_a_layout_are_known_by_their_digests(tmp_path: Path) -> None:
    first = read_base_image(f"oci:{layout(tmp_path / 'a')}", "amd64", NOWHERE)
    second = read_base_image(f"oci:{layout(tmp_path / 'b')}", "amd64", NOWHERE)
    assert [layer.key for layer in first.layers] == [layer.key for layer in second.layers]


@pytest.mark.parametrize(
    "packed",
    [
        CONTENT,
        gzip.compress(CONTENT),
        gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:]),
        zstandard.compress(CONTENT),
    ],
)
def test_a_tar_however_it_is_compressed(tmp_path: Path, packed: bytes) -> None:
    (tmp_path / "root.tar").write_bytes(packed)
    base = read_base_image(f"tar:{tmp_path}/root.tar", "amd64", NOWHERE)
    (layer,) = base.layers
    assert content(layer) == CONTENT


def test_another_tar_is_another_layer(tmp_path: Path) -> None:
    file = tmp_path / "root.tar"
    file.write_bytes(b"one")
    before = read_base_image(f"tar:{file}", "amd64", NOWHERE).layers[0].key
    os.utime(file, (1, 1))
    assert read_base_image(f"tar:{file}", "amd64", NOWHERE).layers[0].key != before


def test_a_tar_for_each_architecture(tmp_path: Path) -> None:
    for architecture in ("amd64", "arm64"):
        (tmp_path / f"root-{architecture}.tar").write_bytes(architecture.encode())
        (layer,) = read_base_image(f"tar:{tmp_path}/root-{{architecture}}.tar", architecture, NOWHERE).layers
        assert content(layer) == architecture.encode()
    with pytest.raises(ArtifactFailed, match=r"root-ppc64le\.tar.* cannot be read: .*No such file"):
        read_base_image(f"tar:{tmp_path}/root-{{architecture}}.tar", "ppc64le", NOWHERE)
    with pytest.raises(ArtifactFailed, match="not of s390x, unless its name says"):
        read_base_image(f"tar:{tmp_path}/root-amd64.tar", "s390x", NOWHERE)
    assert base_problem("registry.example/base-{architecture}:1") is None


def test_nothing() -> None:
    base = read_base_image("scratch", "amd64", NOWHERE)
    assert (base.layers, base.config.has_shell) == ((), False)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("Not A Name", "none of scratch, oci:DIRECTORY, tar:FILE and the name of an image"),
        ("tar:/nowhere/root.tar", "cannot be read"),
        ("oci:/nowhere", "cannot be read"),
    ],
)
def test_no_base_image(reference: str, reason: str) -> None:
    with pytest.raises(ArtifactFailed, match=reason):
        read_base_image(reference, "amd64", NOWHERE)


def test_a_layout_without_the_architecture_or_with_other_digests(tmp_path: Path) -> None:
    layout(tmp_path)
    with pytest.raises(ArtifactFailed, match="no image for riscv64"):
        read_base_image(f"oci:{tmp_path}", "riscv64", NOWHERE)
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [{"digest": "sha256:../../secret"}]}))
    with pytest.raises(ArtifactFailed, match="is no sha256"):
        read_base_image(f"oci:{tmp_path}", "amd64", NOWHERE)


def test_a_layer_that_is_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "root.tar.gz"
    file.write_bytes(gzip.compress(os.urandom(100_000))[:-100])
    with pytest.raises(ArtifactFailed, match="cut short"):
        content(read_base_image(f"tar:{file}", "amd64", NOWHERE).layers[0])


@pytest.mark.parametrize(
    ("text", "host", "name", "target"),
    [
        ("debian", "registry-1.docker.io", "library/debian", "latest"),
        ("debian:bookworm-slim", "registry-1.docker.io", "library/debian", "bookworm-slim"),
        ("me/image:1", "registry-1.docker.io", "me/image", "1"),
        ("registry-1.docker.io/library/debian:sid-slim", "registry-1.docker.io", "library/debian", "sid-slim"),
        ("ghcr.example/a/b/c", "ghcr.example", "a/b/c", "latest"),
        ("localhost:5000/ns/env:v1", "localhost:5000", "ns/env", "v1"),
        (f"debian@sha256:{'a' * 64}", "registry-1.docker.io", "library/debian", f"sha256:{'a' * 64}"),
    ],
)
def test_names_of_images(text: str, host: str, name: str, target: str) -> None:
    assert parse_reference(text) == Reference(host, name, target)


@pytest.mark.parametrize("text", ["", "UPPER", "a b", "host:port/x", "a/../b", "https://host/x", "x@sha256:short"])
def test_what_is_no_name_of_an_image(text: str) -> None:
    assert parse_reference(text) is None
