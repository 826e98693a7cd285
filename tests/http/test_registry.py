"""The registry in the terms of the OCI distribution specification, with images of packages that are not real."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from conda_store.artifacts.oci.base_image import read_base_image
from conda_store.artifacts.oci.documents import ManifestForm
from conda_store.domain.on_demand import Audience
from conda_store.errors import ArtifactFailed
from tests.http.service import Service
from tests.waiting import PATIENCE

OCI, DOCKER = ManifestForm.OCI.value, ManifestForm.DOCKER.value
UNKNOWN = "sha256:" + "0" * 64


class Packer:
    """What a worker does meanwhile: whoever asks for a manifest waits for it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Packer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._stopping.wait(0.02):
            while self._service.work() is not None:
                pass
            self._service.pack()


@pytest.fixture(scope="module")
def images(service: Service) -> Iterator[Service]:
    service.build("default", "open", "python=3.12", "zlib")
    service.build("team", "closed", "zlib")
    with Packer(service):
        yield service


@pytest.fixture
def registry(images: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{images.port}/v2", timeout=PATIENCE) as client:
        yield client


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def code(response: httpx.Response, status: int) -> str:
    """The code of an error that has the shape of the specification."""
    assert response.status_code == status, response.text
    (error,) = response.json()["errors"]
    assert set(error) == {"code", "message", "detail"}
    assert response.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    return str(error["code"])


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def manifest_of(registry: httpx.Client, name: str = "default/open", accept: str = OCI) -> dict[str, Any]:
    response = registry.get(f"/{name}/manifests/latest", headers={"Accept": accept})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_the_door_says_where_to_get_a_token(registry: httpx.Client) -> None:
    response = registry.get("/")
    assert code(response, 401) == "UNAUTHORIZED"
    realm = f"http://127.0.0.1:{registry.base_url.port}/token"
    assert response.headers["WWW-Authenticate"] == f'Bearer realm="{realm}",service="conda-store"'
    assert response.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize(
    ("headers", "status"),
    [(basic("viewer"), 200), (bearer("viewer"), 200), (bearer("anonymous"), 200), (basic("wrong"), 401)],
)
def test_the_door_opens_for_tokens(registry: httpx.Client, headers: dict[str, str], status: int) -> None:
    assert registry.get("/", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("headers", "token"), [({}, "anonymous"), (basic("viewer"), "viewer"), (basic("wrong"), None), (basic(""), None)]
)
def test_tokens_for_passwords(registry: httpx.Client, headers: dict[str, str], token: str | None) -> None:
    url = registry.base_url.copy_with(path="/token")
    response = registry.get(url, headers=headers, params={"service": "conda-store", "scope": "repository:a/b:pull"})
    if token is None:
        assert code(response, 401) == "UNAUTHORIZED"
    else:
        assert {response.json()["token"], response.json()["access_token"]} == {token}


@pytest.mark.parametrize(
    ("form", "token"),
    [
        ({"grant_type": "password", "username": "x", "password": "viewer"}, "viewer"),
        ({"grant_type": "refresh_token", "refresh_token": "viewer"}, "viewer"),
        ({"grant_type": "password", "username": "x", "password": "wrong"}, None),
        ({}, "anonymous"),
    ],
)
def test_tokens_for_forms(registry: httpx.Client, form: dict[str, str], token: str | None) -> None:
    response = registry.post(registry.base_url.copy_with(path="/token"), data=form)
    assert (response.json()["token"] if token else code(response, 401)) == (token or "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("accept", "form", "config"),
    [
        ([OCI], OCI, "application/vnd.oci.image.config.v1+json"),
        ([DOCKER], DOCKER, "application/vnd.docker.container.image.v1+json"),
        (["application/json", DOCKER, OCI], OCI, "application/vnd.oci.image.config.v1+json"),
        ([f"{DOCKER};q=0.4, {OCI};q=0.5"], OCI, "application/vnd.oci.image.config.v1+json"),
        (["*/*"], DOCKER, "application/vnd.docker.container.image.v1+json"),
    ],
)
def test_the_form_of_a_manifest(registry: httpx.Client, accept: list[str], form: str, config: str) -> None:
    lines = [("Accept", value) for value in accept]
    response = registry.get("/default/open/manifests/latest", headers=lines)
    assert response.headers["Content-Type"] == form
    assert response.headers["Docker-Content-Digest"] == digest_of(response.content)
    assert response.json()["mediaType"] == form
    assert response.json()["config"]["mediaType"] == config
    by_digest = registry.get(f"/default/open/manifests/{digest_of(response.content)}")
    assert (by_digest.content, by_digest.headers["Content-Type"]) == (response.content, form)
    head = registry.head("/default/open/manifests/latest", headers=lines)
    for name in ("Content-Type", "Content-Length", "Docker-Content-Digest", "ETag"):
        assert head.headers[name] == response.headers[name]
    assert head.content == b""
    known = registry.get("/default/open/manifests/latest", headers=[*lines, ("If-None-Match", head.headers["ETag"])])
    assert known.status_code == 304


def test_blobs_are_what_the_manifest_says(registry: httpx.Client) -> None:
    manifest = manifest_of(registry)
    config = registry.get(f"/default/open/blobs/{manifest['config']['digest']}")
    assert digest_of(config.content) == manifest["config"]["digest"]
    assert len(config.content) == manifest["config"]["size"]
    document = json.loads(config.content)
    assert len(document["rootfs"]["diff_ids"]) == len(manifest["layers"]) == len(document["history"]) == 3
    assert document["config"]["Env"][0].startswith("PATH=/opt/conda/bin:/usr/local/sbin")
    assert document["config"]["Labels"]["org.opencontainers.image.title"] == "default/open"
    for layer in manifest["layers"]:
        blob = registry.get(f"/default/open/blobs/{layer['digest']}")
        assert (digest_of(blob.content), len(blob.content)) == (layer["digest"], layer["size"])
        assert blob.headers["Docker-Content-Digest"] == layer["digest"]


def test_a_part_of_a_blob(registry: httpx.Client) -> None:
    digest = manifest_of(registry)["layers"][0]["digest"]
    whole = registry.get(f"/default/open/blobs/{digest}").content
    part = registry.get(f"/default/open/blobs/{digest}", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    rest = registry.get(f"/default/open/blobs/{digest}", headers={"Range": "bytes=10-", "If-Range": f'"{digest}"'})
    assert rest.content == whole[10:]
    assert registry.get(f"/default/open/blobs/{digest}", headers={"Range": "bytes=99999999-"}).status_code == 416
    head = registry.head(f"/default/open/blobs/{digest}")
    assert int(head.headers["Content-Length"]) == len(whole)
    assert registry.get(f"/default/open/blobs/{digest}", headers={"If-None-Match": f'"{digest}"'}).status_code == 304


def test_tags(registry: httpx.Client) -> None:
    tags = registry.get("/default/open/tags/list").json()
    assert tags["name"] == "default/open"
    assert "latest" in tags["tags"]
    assert len(tags["tags"]) == 2
    first = registry.get("/default/open/tags/list", params={"n": 1})
    assert first.json()["tags"] == tags["tags"][:1]
    link = first.headers["Link"]
    assert link.endswith('; rel="next"')
    second = registry.get(registry.base_url.join(link[1:].partition(">")[0]))
    assert second.json()["tags"] == tags["tags"][1:]
    assert "Link" not in second.headers
    none = registry.get("/default/open/tags/list", params={"n": 0})
    assert (none.json()["tags"], "Link" in none.headers) == ([], False)
    key = next(tag for tag in tags["tags"] if tag != "latest")
    assert (
        registry.get(f"/default/open/manifests/{key}").content == registry.get("/default/open/manifests/latest").content
    )


def test_the_sha256_of_a_specification_is_a_tag(images: Service, registry: httpx.Client) -> None:
    revision = manifest_of(registry)["annotations"]["org.opencontainers.image.revision"]
    tagged = registry.get(f"/default/open/manifests/{revision}", headers={"Accept": OCI})
    assert tagged.json() == manifest_of(registry)


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/default/nowhere/manifests/latest", 404, "NAME_UNKNOWN"),
        ("/default/open/more/manifests/latest", 404, "NAME_UNKNOWN"),
        ("/short/manifests/latest", 405, "UNSUPPORTED"),
        ("/short/tags/list", 405, "UNSUPPORTED"),
        (f"/short/blobs/{UNKNOWN}", 405, "UNSUPPORTED"),
        ("/default/open", 405, "UNSUPPORTED"),
        ("/default/open/manifests", 405, "UNSUPPORTED"),
        ("/default/open/manifests/", 404, "NAME_UNKNOWN"),
        ("/default/open/blobs/uploads/", 404, "NAME_UNKNOWN"),
        ("/default/nowhere/tags/list", 404, "NAME_UNKNOWN"),
        (f"/default/nowhere/referrers/{UNKNOWN}", 404, "NAME_UNKNOWN"),
        ("/default/open/referrers/latest", 400, "DIGEST_INVALID"),
        ("/default/open/manifests/no-such-tag", 404, "MANIFEST_UNKNOWN"),
        (f"/default/open/manifests/{UNKNOWN}", 404, "MANIFEST_UNKNOWN"),
        ("/default/open/manifests/md5:abc", 400, "DIGEST_INVALID"),
        (f"/default/open/blobs/{UNKNOWN}", 404, "BLOB_UNKNOWN"),
        ("/default/open/blobs/sha256:short", 400, "DIGEST_INVALID"),
        (f"/default/open/blobs/sha256:{'A' * 64}", 400, "DIGEST_INVALID"),
        ("/default/%2e%2e/manifests/latest", 404, "NAME_UNKNOWN"),
        ("/default/open/tags/list?n=-1", 400, "PAGINATION_NUMBER_INVALID"),
        ("/default/open/tags/list?n=%C2%B2", 400, "PAGINATION_NUMBER_INVALID"),
        ("/default/open/tags/list?n=1234567890", 400, "PAGINATION_NUMBER_INVALID"),
        ("/_catalog", 405, "UNSUPPORTED"),
    ],
)
def test_errors(registry: httpx.Client, path: str, status: int, expected: str) -> None:
    assert code(registry.get(path), status) == expected
    head = registry.head(path)
    assert (head.status_code, head.content) == (status, b"")


def test_a_name_that_is_not_there_is_told(registry: httpx.Client) -> None:
    (error,) = registry.get("/default/nowhere/manifests/latest").json()["errors"]
    assert error["message"].endswith("there is no environment default/nowhere, or you may not see it")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/default/open/blobs/uploads/"),
        ("PUT", "/default/open/manifests/latest"),
        ("PATCH", "/default/open/blobs/uploads/1"),
        ("DELETE", "/default/open/manifests/latest"),
        ("DELETE", f"/default/open/blobs/{UNKNOWN}"),
    ],
)
def test_nothing_can_be_pushed(registry: httpx.Client, method: str, path: str) -> None:
    assert code(registry.request(method, path, headers=bearer("admin")), 405) == "UNSUPPORTED"


def test_nothing_refers_to_an_image(registry: httpx.Client) -> None:
    response = registry.get(f"/default/open/referrers/{UNKNOWN}")
    assert response.headers["Content-Type"] == "application/vnd.oci.image.index.v1+json"
    assert response.json()["manifests"] == []


@pytest.mark.parametrize("what", ["manifests/latest", "tags/list", f"blobs/{UNKNOWN}"])
@pytest.mark.parametrize("name", ["team/closed", "team/nowhere"])
def test_who_may_not_read_learns_nothing(registry: httpx.Client, name: str, what: str) -> None:
    for headers in ({}, bearer("anonymous")):
        response = registry.get(f"/{name}/{what}", headers=headers)
        assert code(response, 401) == "UNAUTHORIZED"
        assert f'scope="repository:{name}:pull"' in response.headers["WWW-Authenticate"]
    assert code(registry.get(f"/{name}/{what}", headers=bearer("stranger")), 403) == "DENIED"
    assert code(registry.get(f"/{name}/{what}", headers=bearer("revoked")), 401) == "UNAUTHORIZED"


def test_a_private_image_is_for_those_who_may_read_it(registry: httpx.Client) -> None:
    response = registry.get("/team/closed/manifests/latest", headers=bearer("viewer"))
    assert response.status_code == 200
    digest = response.json()["config"]["digest"]
    assert registry.get(f"/team/closed/blobs/{digest}", headers=basic("viewer")).status_code == 200
    # a blob is reached through the environments that it belongs to only
    assert code(registry.get(f"/default/open/blobs/{digest}"), 404) == "BLOB_UNKNOWN"


def test_packages_are_shared_by_images(images: Service, registry: httpx.Client) -> None:
    shared = [layer["digest"] for layer in manifest_of(registry)["layers"]]
    images.submit("default", "other", "python=3.12", "zlib", "numpy")
    layers = [layer["digest"] for layer in manifest_of(registry, "default/other")["layers"]]
    assert layers[0] == shared[0]
    assert set(shared[:2]) <= set(layers)
    assert len(layers) == 4


def test_many_ask_for_one_image(images: Service) -> None:
    images.submit("default", "wanted", "fresh=1.0")
    answers: list[str] = []

    def pull() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{images.port}/v2", timeout=PATIENCE) as client:
            answers.append(client.get("/default/wanted/manifests/latest").headers["Docker-Content-Digest"])

    before = images.builder.calls["extracted"]
    threads = [threading.Thread(target=pull) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(answers) == 8
    assert len(set(answers)) == 1
    assert images.builder.calls["extracted"] == before + 1


def test_who_waits_too_long_is_told_to_come_again(tmp_path: Path) -> None:
    with Service(tmp_path, packing_wait=0.2) as slow:
        slow.build("default", "slow", "zlib")
        with httpx.Client(base_url=f"http://127.0.0.1:{slow.port}/v2", timeout=PATIENCE) as client:
            response = client.get("/default/slow/manifests/latest")
            assert code(response, 503) == "UNAVAILABLE"
            assert int(response.headers["Retry-After"]) > 0
            assert slow.pack() == 1
            assert client.get("/default/slow/manifests/latest").status_code == 200


def test_a_build_that_failed_says_why(images: Service, registry: httpx.Client) -> None:
    images.submit("default", "hopeless", "fail-always")
    response = registry.get("/default/hopeless/manifests/latest")
    assert code(response, 404) == "MANIFEST_UNKNOWN"
    assert "fail-always" in response.json()["errors"][0]["detail"]


def test_a_deleted_build_is_gone(images: Service, registry: httpx.Client) -> None:
    build_id = images.build("default", "doomed", "zlib")
    manifest = registry.get("/default/doomed/manifests/latest")
    with images.client("admin") as admin:
        assert admin.delete(f"/api/v1/build/{build_id}/").status_code == 200
    for path in ("manifests/latest", f"manifests/{manifest.headers['Docker-Content-Digest']}"):
        assert code(registry.get(f"/default/doomed/{path}"), 404) == "MANIFEST_UNKNOWN"
    digest = manifest.json()["layers"][0]["digest"]
    assert code(registry.get(f"/default/doomed/blobs/{digest}"), 404) == "BLOB_UNKNOWN"


# --- for several processors ---------------------------------------------------------------------------------

INDEX = "application/vnd.oci.image.index.v1+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture(scope="module")
def portable(images: Service) -> str:
    """The name of an image for two platforms."""
    images.make_namespaces("portable")
    with images.client("admin") as admin:
        values = {"conda_solve_platforms": ["linux-64", "linux-aarch64", "osx-arm64"]}
        assert admin.put("/api/v1/setting/portable/", json=values).status_code == 200
    images.build("portable", "two", "python=3.12", "zlib")
    return "portable/two"


@pytest.mark.parametrize(("form", "index"), [(OCI, INDEX), (DOCKER, LIST)])
def test_an_index_of_the_images_for_several_platforms(
    registry: httpx.Client, portable: str, form: str, index: str
) -> None:
    admin = bearer("admin")
    response = registry.get(f"/{portable}/manifests/latest", headers={"Accept": f"{index}, {form}"} | admin)
    assert response.headers["Content-Type"] == response.json()["mediaType"] == index
    assert response.headers["Docker-Content-Digest"] == digest_of(response.content)
    listed = response.json()["manifests"]
    assert [item["platform"] for item in listed] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux"},
    ]
    found = {}
    for item in listed:
        manifest = registry.get(f"/{portable}/manifests/{item['digest']}", headers=admin)
        assert digest_of(manifest.content) == item["digest"]
        assert len(manifest.content) == item["size"]
        assert manifest.headers["Content-Type"] == item["mediaType"] == form
        for blob in (manifest.json()["config"], *manifest.json()["layers"]):
            assert registry.head(f"/{portable}/blobs/{blob['digest']}", headers=admin).status_code == 200
        config = registry.get(f"/{portable}/blobs/{manifest.json()['config']['digest']}", headers=admin).json()
        found[item["platform"]["architecture"]] = (manifest, config)
    assert {name: config["architecture"] for name, (_, config) in found.items()} == {"amd64": "amd64", "arm64": "arm64"}
    alone = registry.get(f"/{portable}/manifests/latest", headers={"Accept": form} | admin)
    assert alone.content == found["amd64"][0].content
    by_digest = registry.get(f"/{portable}/manifests/{digest_of(response.content)}", headers=admin)
    assert (by_digest.content, by_digest.headers["Content-Type"]) == (response.content, index)


def test_one_platform_needs_no_index(registry: httpx.Client) -> None:
    assert manifest_of(registry, accept=f"{INDEX}, {OCI}")["mediaType"] == OCI


def test_what_pip_installed_is_there_for_this_machine_only(
    images: Service, registry: httpx.Client, portable: str
) -> None:
    images.build("portable", "piped", "python=3.12", "pip", "{pip: [requests]}")
    response = registry.get("/portable/piped/manifests/latest", headers={"Accept": f"{INDEX}, {OCI}"} | bearer("admin"))
    assert response.json()["mediaType"] == OCI


# --- by the names of packages -------------------------------------------------------------------------------


def on_demand(registry: httpx.Client, name: str, token: str = "admin") -> httpx.Response:
    return registry.get(f"/conda-store-dynamic/{name}/manifests/latest", headers={"Accept": OCI} | bearer(token))


def test_an_image_of_packages_by_their_names(images: Service, registry: httpx.Client) -> None:
    response = on_demand(registry, "python.lt.3.13/zlib")
    assert response.status_code == 200, response.text
    title = response.json()["annotations"]["org.opencontainers.image.title"]
    assert title == "conda-store-dynamic/python.lt.3.13-zlib"
    digest = response.json()["layers"][0]["digest"]
    blob = registry.get(f"/conda-store-dynamic/python.lt.3.13/zlib/blobs/{digest}", headers=bearer("admin"))
    assert digest_of(blob.content) == digest
    by_digest = f"/conda-store-dynamic/python.lt.3.13/zlib/manifests/{digest_of(response.content)}"
    assert registry.get(by_digest, headers=bearer("admin")).content == response.content
    with images.client("admin") as admin:
        (row,) = admin.get("/api/v1/environment/", params={"namespace": "conda-store-dynamic"}).json()["data"]
    build = f"/api/v1/build/{row['current_build_id']}/"
    with images.client("admin") as admin:
        found = admin.get(build).json()["data"]["specification"]["spec"]
    assert found["dependencies"] == ["python<3.13", "zlib"]


def test_many_ask_for_the_same_packages(images: Service) -> None:
    answers: list[str] = []

    def pull() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{images.port}/v2", timeout=PATIENCE) as client:
            answers.append(on_demand(client, "wanted.ge.2/by.ne.1/many").headers["Docker-Content-Digest"])

    before = images.builder.calls["install"]
    threads = [threading.Thread(target=pull) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(answers) == 8
    assert len(set(answers)) == 1
    assert images.builder.calls["install"] == before + 1


def test_names_that_join_to_the_same_are_not_mixed_up(registry: httpx.Client) -> None:
    one, other = on_demand(registry, "a/b"), on_demand(registry, "a-b")
    assert (len(one.json()["layers"]), len(other.json()["layers"])) == (3, 2)
    assert on_demand(registry, "a/b").content == one.content


def test_packages_that_there_are_not_are_explained_and_not_tried_again(images: Service, registry: httpx.Client) -> None:
    before = images.builder.calls["solve"]
    for _ in range(3):
        response = on_demand(registry, "missing-package")
        assert code(response, 404) == "MANIFEST_UNKNOWN"
        assert "missing-package" in response.json()["errors"][0]["detail"]
    assert images.builder.calls["solve"] == before + 1


def test_an_image_for_another_platform(images: Service, registry: httpx.Client) -> None:
    installed = images.builder.calls["install"]
    response = on_demand(registry, "linux-aarch64/zlib/numpy.ne.2")
    assert response.status_code == 200, response.text
    name = "conda-store-dynamic/linux-aarch64/zlib/numpy.ne.2"
    digest = response.json()["config"]["digest"]
    config = registry.get(f"/{name}/blobs/{digest}", headers=bearer("admin")).json()
    assert (config["architecture"], config["os"]) == ("arm64", "linux")
    assert images.builder.calls["install"] == installed
    with images.client("admin") as admin:
        search = {"namespace": "conda-store-dynamic", "search": "linux-aarch64"}
        (row,) = admin.get("/api/v1/environment/", params=search).json()["data"]
        build = admin.get(f"/api/v1/build/{row['current_build_id']}/").json()["data"]
        assert build["status"] == "COMPLETED"
        assert build["specification"]["spec"]["platforms"] == ["linux-aarch64"]
        assert "DIRECTORY" not in {item["artifact_type"] for item in build["build_artifacts"]}
        assert admin.get(f"/api/v1/build/{row['current_build_id']}/archive/").status_code in {404, 409}


@pytest.mark.parametrize("name", ["osx-arm64/zlib", "linux-aarch64", "win-64/zlib"])
def test_platforms_without_images(registry: httpx.Client, name: str) -> None:
    assert code(on_demand(registry, name), 400) == "NAME_INVALID"


def test_an_image_as_of_a_day(images: Service, registry: httpx.Client) -> None:
    def tagged(tag: str) -> httpx.Response:
        path = f"/conda-store-dynamic/zlib/xz/manifests/{tag}"
        return registry.get(path, headers={"Accept": OCI} | bearer("admin"))

    then, now = tagged("at-2021-01-31"), tagged("latest")
    assert (then.status_code, now.status_code) == (200, 200), then.text
    assert then.content != now.content
    assert tagged("at-2021-01-31").content == then.content
    for tag in ("at-2021-02-31", f"at-{(datetime.now(UTC) + timedelta(days=1)).date()}", "at-2999-01-01"):
        assert code(tagged(tag), 400) == "NAME_INVALID"
    assert code(tagged("at-2021"), 404) == "MANIFEST_UNKNOWN"
    # the packages of the builder without packages are of September 2020
    assert code(tagged("at-2020-01-31"), 404) == "MANIFEST_UNKNOWN"


def test_a_page_of_another_site_may_not_have_images_made(registry: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"} | bearer("admin")
    response = registry.get("/conda-store-dynamic/by-a-page/manifests/latest", headers=headers)
    assert code(response, 403) == "DENIED"


@pytest.mark.parametrize(
    ("audience", "statuses"),
    [
        (Audience.PERMITTED, {"anonymous": 401, "stranger": 403, "admin": 200}),
        (Audience.AUTHENTICATED, {"anonymous": 401, "stranger": 200, "admin": 200}),
        (Audience.ANYBODY, {"anonymous": 200, "stranger": 200, "admin": 200}),
    ],
)
def test_who_may_name_packages(tmp_path: Path, audience: Audience, statuses: dict[str, int]) -> None:
    with (
        Service(tmp_path, deployment={"on_demand_for": audience}) as service,
        Packer(service),
        httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v2", timeout=PATIENCE) as client,
    ):
        for token, status in statuses.items():
            answer = on_demand(client, f"zlib/{token}", token)
            assert answer.status_code == status
            if status == 200:
                url = f"/conda-store-dynamic/zlib/{token}/blobs/{answer.json()['layers'][0]['digest']}"
                assert client.get(url, headers=bearer(token)).status_code == 200
        # nothing but images: who may name packages may not hand in what they like
        with service.client("stranger") as stranger:
            body = {"namespace": "conda-store-dynamic", "specification": "name: x\ndependencies: [zlib]"}
            assert stranger.post("/api/v1/specification/", json=body).status_code in {403, 404}


def test_how_much_may_be_asked_for_in_an_hour(tmp_path: Path) -> None:
    with (
        Service(tmp_path, deployment={"on_demand_for": Audience.ANYBODY, "on_demand_per_hour": 2}) as service,
        Packer(service),
        httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v2", timeout=PATIENCE) as client,
    ):
        assert [on_demand(client, name, "anonymous").status_code for name in ("a", "b")] == [200, 200]
        refused = on_demand(client, "c", "anonymous")
        assert code(refused, 429) == "TOOMANYREQUESTS"
        assert int(refused.headers["Retry-After"]) > 0
        # what is there already is not asked for again, and who has the permission may ask
        assert on_demand(client, "a", "anonymous").status_code == 200
        assert on_demand(client, "c", "admin").status_code == 200


def test_who_may_have_images_made(registry: httpx.Client) -> None:
    assert code(on_demand(registry, "x", "anonymous"), 401) == "UNAUTHORIZED"
    assert code(on_demand(registry, "x", "developer"), 403) == "DENIED"
    assert code(on_demand(registry, "x//y"), 400) == "NAME_INVALID"


# --- below an environment -----------------------------------------------------------------------------------


def test_a_base_image_is_pulled_from_a_registry_and_kept(
    images: Service, registry: httpx.Client, tmp_path: Path
) -> None:
    below = manifest_of(registry)["layers"]
    name = f"localhost:{images.port}/default/open"
    for _ in range(2):
        base = read_base_image(name, "amd64", tmp_path)
        digests = [hashlib.sha256(layer.file.read_bytes()).hexdigest() for layer in base.layers]
        assert [f"sha256:{digest}" for digest in digests] == [layer["digest"] for layer in below]
        assert "CONDA_PREFIX=/opt/conda" in base.config.environment
    assert len(list(tmp_path.iterdir())) == 1
    by_digest = registry.get("/default/open/manifests/latest").headers["Docker-Content-Digest"]
    assert len(read_base_image(f"{name}@{by_digest}", "amd64", tmp_path).layers) == len(below)


@pytest.mark.parametrize("name", ["team/closed", "default/nowhere"])
def test_a_base_image_that_cannot_be_pulled(images: Service, tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactFailed, match="cannot be pulled: localhost:"):
        read_base_image(f"localhost:{images.port}/{name}", "amd64", tmp_path)
    assert list(tmp_path.iterdir()) == []
