"""Images with layers in zstd: under tags of their own, for those who ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from conda_store.artifacts.oci.documents import INDEX_TYPES, ManifestForm
from conda_store.domain.on_demand import Audience
from tests.http.service import Service
from tests.http.test_registry import Packer, code, digest_of
from tests.waiting import PATIENCE

OCI = ManifestForm.OCI.value
GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    decided = {"offers_zstd_images": True, "on_demand_for": Audience.ANYBODY}
    with Service(tmp_path_factory.mktemp("s"), decided) as service:
        service.build("default", "open", "python=3.12", "zlib")
        service.build("default", "like-zstd", "zlib")
        with (
            Packer(service),
            httpx.Client(
                base_url=f"http://127.0.0.1:{service.port}/v2", timeout=PATIENCE, headers={"Accept": OCI}
            ) as client,
        ):
            yield client


def manifest_of(registry: httpx.Client, tag: str, name: str = "default/open") -> dict[str, Any]:
    response = registry.get(f"/{name}/manifests/{tag}")
    assert response.status_code == 200, response.text
    assert response.headers["Docker-Content-Digest"] == digest_of(response.content)
    by_digest = registry.get(f"/{name}/manifests/{digest_of(response.content)}")
    assert by_digest.content == response.content
    found: dict[str, Any] = response.json()
    return found


def layer_types(manifest: dict[str, Any]) -> set[str]:
    return {layer["mediaType"] for layer in manifest["layers"]}


def test_the_plain_tag_stays_gzip_and_the_other_has_the_same_content(registry: httpx.Client) -> None:
    zstd = manifest_of(registry, "latest-zstd")
    gzip = manifest_of(registry, "latest")
    assert (layer_types(gzip), layer_types(zstd)) == ({GZIP_LAYER}, {ZSTD_LAYER})
    # so the diffIDs are the same
    assert zstd["config"] == gzip["config"]
    diff_ids = registry.get(f"/default/open/blobs/{zstd['config']['digest']}").json()["rootfs"]["diff_ids"]
    for layer, diff_id in zip(zstd["layers"], diff_ids, strict=True):
        blob = registry.get(f"/default/open/blobs/{layer['digest']}").content
        assert (digest_of(blob), len(blob)) == (layer["digest"], layer["size"])
        assert digest_of(zstandard.ZstdDecompressor().decompressobj().decompress(blob)) == diff_id


def test_the_key_of_a_build_may_end_like_the_tag(registry: httpx.Client) -> None:
    tags = registry.get("/default/like-zstd/tags/list").json()["tags"]
    (key,) = (tag for tag in tags if tag != "latest")
    assert key.endswith("like-zstd")
    assert layer_types(manifest_of(registry, key, "default/like-zstd")) == {GZIP_LAYER}
    assert layer_types(manifest_of(registry, f"{key}-zstd", "default/like-zstd")) == {ZSTD_LAYER}


def test_packages_by_name(registry: httpx.Client) -> None:
    name = "conda-store-dynamic/zlib"
    assert layer_types(manifest_of(registry, "latest-zstd", name)) == {ZSTD_LAYER}
    assert layer_types(manifest_of(registry, "latest", name)) == {GZIP_LAYER}


def test_there_is_no_manifest_of_docker_in_zstd(registry: httpx.Client) -> None:
    headers = {"Accept": ManifestForm.DOCKER.value}
    assert code(registry.get("/default/open/manifests/latest-zstd", headers=headers), 404) == "MANIFEST_UNKNOWN"
    assert registry.get("/default/open/manifests/latest", headers=headers).status_code == 200


def test_nobody_is_offered_it_unless_the_server_is_told_to(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.build("default", "open", "zlib")
        with httpx.Client(
            base_url=f"http://127.0.0.1:{service.port}/v2", headers={"Accept": OCI}, timeout=PATIENCE
        ) as client:
            assert code(client.get("/default/open/manifests/latest-zstd"), 404) == "MANIFEST_UNKNOWN"


def test_an_index_is_of_images_in_zstd(tmp_path: Path) -> None:
    with Service(tmp_path, {"offers_zstd_images": True}) as service:
        with service.client("admin") as admin:
            values = {"conda_solve_platforms": ["linux-64", "linux-aarch64"]}
            assert admin.put("/api/v1/setting/default/", json=values).status_code == 200
        service.build("default", "both", "zlib")
        headers = {"Accept": f"{OCI}, {INDEX_TYPES[ManifestForm.OCI]}"}
        with (
            Packer(service),
            httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v2", timeout=PATIENCE) as client,
        ):
            index = client.get("/default/both/manifests/latest-zstd", headers=headers).json()
            assert [item["platform"]["architecture"] for item in index["manifests"]] == ["amd64", "arm64"]
            for item in index["manifests"]:
                assert layer_types(client.get(f"/default/both/manifests/{item['digest']}").json()) == {ZSTD_LAYER}
