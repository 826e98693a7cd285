"""What an image is made of, which tags mean it, and by which doors the registry is reached."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from conda_store.artifacts.oci.documents import ManifestForm
from conda_store.domain.artifact import layer_blob_key
from conda_store.services.images import request_image
from tests.http.service import Service
from tests.http.test_registry import Packer, bearer, code
from tests.waiting import PATIENCE

OCI = {"Accept": ManifestForm.OCI.value}


def layout(root: Path, layers: str) -> Path:
    """An OCI layout with an image of these layers, a letter each, for any architecture."""
    blobs = root / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def descriptor(data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    config = descriptor(json.dumps({"config": {}}).encode())
    below = [descriptor(gzip.compress(letter.encode())) for letter in layers]
    manifest = descriptor(json.dumps({"config": config, "layers": below}).encode())
    (root / "index.json").write_text(json.dumps({"manifests": [manifest]}))
    return root


@contextmanager
def registry(service: Service) -> Iterator[httpx.Client]:
    url = f"http://127.0.0.1:{service.port}/v2"
    with Packer(service), httpx.Client(base_url=url, timeout=PATIENCE, headers=OCI) as client:
        yield client


@contextmanager
def made_with(directory: Path, name: str, packages: str, **deployment: Any) -> Iterator[httpx.Client]:
    """The registry of a service with one environment, whose packages have a letter each."""
    with Service(directory, deployment) as service:
        service.build(*name.split("/"), *packages)
        with registry(service) as client:
            yield client


@pytest.mark.parametrize(
    ("below", "budget", "made"), [("", 3, 3), ("xy", 5, 5), ("xyz", 5, 5), ("x", 94, 8), ("xyx", 94, 10)]
)
def test_an_image_has_no_more_layers_than_it_may(tmp_path: Path, below: str, budget: int, made: int) -> None:
    base = f"oci:{layout(tmp_path / 'base', below)}"
    with made_with(tmp_path, "default/six", "abcdef", base_image=base, layer_budget=budget) as client:
        manifest = client.get("/default/six/manifests/latest").json()
        assert len(manifest["layers"]) == made
        config = client.get(f"/default/six/blobs/{manifest['config']['digest']}").json()
        assert len(config["rootfs"]["diff_ids"]) == len(config["history"]) == made
        first = [hashlib.sha256(letter.encode()).hexdigest() for letter in below]
        assert config["rootfs"]["diff_ids"][: len(below)] == [f"sha256:{digest}" for digest in first]


def test_a_package_is_one_layer_for_all_namespaces(tmp_path: Path) -> None:
    """What the second image adds to the storage is its configuration and its own last layer."""
    bindings = {"default/*": ["viewer"], "team/*": ["viewer"]}
    with Service(tmp_path, unauthenticated_role_bindings=bindings) as service, registry(service) as client:
        service.build("default", "one", "a", "b", "c")
        first = client.get("/default/one/manifests/latest").json()
        before = {blob.key: blob.last_modified for blob in service.context.blobs.list("layers")}
        service.build("team", "other", "a", "b", "c")
        second = client.get("/team/other/manifests/latest").json()
        assert first["layers"][:-1] == second["layers"][:-1]
        after = {blob.key: blob.last_modified for blob in service.context.blobs.list("layers")}
        shared = [layer_blob_key(layer["digest"].removeprefix("sha256:")) for layer in first["layers"][:-1]]
        assert [after[key] for key in shared] == [before[key] for key in shared], "none is made again"
        own = [second["config"]["digest"], second["layers"][-1]["digest"]]
        # of builds of the same second the last layers may be the same
        assert after.keys() - before.keys() <= {layer_blob_key(digest.removeprefix("sha256:")) for digest in own}


def test_a_base_image_that_leaves_no_layer_is_refused_with_the_numbers(tmp_path: Path) -> None:
    base = f"oci:{layout(tmp_path / 'base', 'wxyz')}"
    with made_with(tmp_path, "default/one", "a", base_image=base, layer_budget=5) as client:
        answer = client.get("/default/one/manifests/latest")
        assert code(answer, 404) == "MANIFEST_UNKNOWN"
        assert "the base image has 4 layers, and the whole image may have 5" in answer.json()["errors"][0]["message"]


def test_the_sha256_of_a_specification_means_its_newest_completed_build(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        builds = [service.build("default", "one", package) for package in "aba"]
        queued = service.submit("default", "one", "a")
        with service.context.database.read() as connection:
            query = "SELECT build.id, sha256, key FROM build JOIN specification s ON s.id = specification_id"
            rows = {row[0]: row for row in connection.exec_driver_sql(query)}
        assert [rows[number][1] for number in (builds[0], queued)] == [rows[builds[2]][1]] * 2

        def source(client: httpx.Client, tag: str) -> str:
            manifest = client.get(f"/default/one/manifests/{tag}").json()
            return str(manifest["annotations"]["org.opencontainers.image.source"]).rpartition(":")[2]

        for build_id in builds:
            request_image(service.context, build_id, list(OCI.values()))
        assert service.pack() == 3
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v2", timeout=PATIENCE, headers=OCI) as client:
            assert source(client, rows[builds[0]][1]) == str(builds[2])
            assert source(client, rows[builds[1]][1]) == str(builds[1])
            assert source(client, rows[builds[0]][2]) == str(builds[0])
            assert code(client.get(f"/default/two/manifests/{rows[builds[0]][1]}"), 404) == "NAME_UNKNOWN"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_key_of_a_build_is_a_tag(tmp_path: Path, version: int) -> None:
    with made_with(tmp_path, "default/one", "a", build_key_version=version) as client:
        tags = client.get("/default/one/tags/list").json()["tags"]
        assert len(tags) == 2
        (latest, other) = (client.get(f"/default/one/manifests/{tag}") for tag in sorted(tags, key="latest".__ne__))
        assert latest.status_code == 200
        assert other.content == latest.content


def test_packages_by_name_that_take_long_are_built_for_all_that(tmp_path: Path) -> None:
    with Service(tmp_path, packing_wait=0.1) as service:
        url = f"http://127.0.0.1:{service.port}/v2/conda-store-dynamic/a/b/manifests/latest"
        for _ in range(2):
            answer = httpx.get(url, headers=OCI | bearer("admin"), timeout=PATIENCE)
            assert code(answer, 503) == "UNAVAILABLE"
            assert int(answer.headers["Retry-After"]) > 0
        assert service.build_ids() == [1]
        assert service.work() == 1
        assert service.pack() == 1
        assert httpx.get(url, headers=OCI | bearer("admin"), timeout=PATIENCE).status_code == 200


# --- doors ----------------------------------------------------------------------------------------------------


def test_the_registry_knows_no_prefix(tmp_path: Path) -> None:
    with Service(tmp_path, url_prefix="/conda-store") as service, registry(service) as client:
        service.submit("default", "open", "a")
        answer = client.get("/")
        assert code(answer, 401) == "UNAUTHORIZED"
        assert f'realm="http://127.0.0.1:{service.port}/token"' in answer.headers["WWW-Authenticate"]
        token = client.get(client.base_url.copy_with(path="/token")).json()["token"]
        assert client.get("/default/open/manifests/latest", headers=bearer(token)).status_code == 200
        assert client.get(client.base_url.copy_with(path="/conda-store/v2/")).status_code == 404


def test_behind_a_proxy_the_token_service_is_named_as_clients_reach_it(tmp_path: Path) -> None:
    with Service(tmp_path, behind_proxy=True) as service, registry(service) as client:
        headers = {"Host": "images.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
        answer = client.get("/", headers=headers)
        assert 'realm="https://images.example/token"' in answer.headers["WWW-Authenticate"]


def test_whoever_is_logged_in_by_a_cookie_reads_what_they_may(tmp_path: Path) -> None:
    with Service(tmp_path) as service, registry(service) as client:
        service.submit("team", "closed", "a")
        path = "/team/closed/manifests/latest"
        assert code(client.get(path), 401) == "UNAUTHORIZED"
        name = service.options.login.cookie_name
        assert client.get(path, headers={"Cookie": f"{name}=viewer"}).status_code == 200
        assert code(client.get(path, headers={"Cookie": f"{name}=stranger"}), 403) == "DENIED"


def test_nothing_is_told_to_be_on_its_way_out(tmp_path: Path) -> None:
    with made_with(tmp_path, "default/open", "a") as client:
        for part in ("manifests/latest", "tags/list"):
            answer = client.get(f"/default/open/{part}")
            assert answer.status_code == 200
            assert not {"deprecation", "sunset"} & set(answer.headers)
