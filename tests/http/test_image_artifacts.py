"""What an image consists of, as artifacts of its build: they have no rows among these, and are found all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from conda_store.artifacts.oci.documents import INDEX_TYPES, ManifestForm
from conda_store.domain.artifact import ArtifactState, ArtifactType
from conda_store.domain.image import Compression
from conda_store.services.clearing import purge_deleted
from conda_store.services.images import request_image
from tests.http.service import Service, data
from tests.waiting import PATIENCE

FORMS = tuple(form.value for form in ManifestForm)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """With builds of three environments; all but the first have an image."""
    with Service(tmp_path, {"offers_zstd_images": True}) as service:
        service.build("default", "plain", "zlib")
        for name in ("one", "other"):
            imaged(service, service.build("default", name, "zlib", "numpy"))
        yield service


def imaged(service: Service, build_id: int, compression: Compression = Compression.GZIP) -> None:
    request_image(service.context, build_id, FORMS, compression)
    assert service.pack() == 1


def parts(admin: httpx.Client, build_id: int) -> dict[str, int]:
    """Keys and ids of the artifacts that are parts of a build's image."""
    listed = data(admin.get(f"/api/v1/build/{build_id}/"))["build_artifacts"]
    found = {item["key"]: item["id"] for item in listed if item["artifact_type"] == "DOCKER_BLOB"}
    assert len({item["id"] for item in listed}) == len(listed), "no id comes twice"
    return found


def served(service: Service, name: str, *forms: str, tag: str = "latest") -> set[str]:
    """The keys that the parts of an image have, found by pulling it."""
    keys: set[str] = set()
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v2/{name}/manifests", timeout=PATIENCE) as client:
        for form in forms:
            manifest = client.get(f"/{tag}", headers={"Accept": form})
            assert manifest.headers["Content-Type"] == form
            keys.add(f"docker/manifest/{manifest.headers['Docker-Content-Digest']}")
            for blob in (manifest.json()["config"], *manifest.json()["layers"]):
                keys.add(blob["digest"].replace("sha256:", "docker/blobs/"))
    return keys


def having(admin: httpx.Client, path: str, **filters: str) -> list[int]:
    """The ids in a list of what has parts of an image; the list counts as many."""
    answer = admin.get(f"/api/{path}/", params={"artifact": "DOCKER_BLOB", **filters}).json()
    assert answer["count"] == len(answer["data"])
    return [row["id"] for row in answer["data"]]


def test_the_parts_of_an_image_are_artifacts_of_its_build(service: Service, admin: httpx.Client) -> None:
    assert parts(admin, 1) == {}
    found = parts(admin, 2)
    assert set(found) == served(service, "default/one", *FORMS)
    assert all(0 < number < 2**53 for number in found.values()), "as JavaScript reads them"
    # what two images share has the same id in both
    shared = found.items() & parts(admin, 3).items()
    assert len(shared) >= 2
    assert parts(admin, 2) == found


def test_of_an_image_in_zstd_they_are_too(service: Service, admin: httpx.Client) -> None:
    in_gzip = set(parts(admin, 2))
    imaged(service, 2, Compression.ZSTD)
    in_zstd = served(service, "default/one", ManifestForm.OCI.value, tag="latest-zstd")
    assert set(parts(admin, 2)) == in_gzip | in_zstd != in_gzip
    assert having(admin, "v1/build") == [2, 3]


def test_of_images_for_several_platforms_they_are_too(service: Service, admin: httpx.Client) -> None:
    values = {"conda_solve_platforms": ["linux-64", "linux-aarch64"]}
    assert admin.put("/api/v1/setting/default/", json=values).status_code == 200
    imaged(service, service.build("default", "both", "zlib"))
    index = admin.get(
        "/v2/default/both/manifests/latest", headers={"Accept": f"{INDEX_TYPES[ManifestForm.OCI]}, {FORMS[0]}"}
    )
    digests = [index.headers["Docker-Content-Digest"], *(item["digest"] for item in index.json()["manifests"])]
    assert len(digests) == 3
    assert {f"docker/manifest/{digest}" for digest in digests} <= set(parts(admin, 4))


@pytest.mark.parametrize(
    ("path", "filters", "found"),
    [
        ("v1/build", {}, [2, 3]),
        ("v1/build", {"status": "COMPLETED"}, [2, 3]),
        ("v1/build", {"status": "FAILED"}, []),
        ("v1/build", {"name": "one"}, [2]),
        ("v1/build", {"order": "desc"}, [3, 2]),
        ("v1/build", {"packages": "zlib"}, [2, 3]),
        ("v1/environment", {}, [2, 3]),
        ("v1/environment", {"search": "other"}, [3]),
        ("v2/environment", {}, [2, 3]),
        ("v2/environment", {"sort_by": "name", "order": "desc"}, [3, 2]),
    ],
)
def test_lists_find_what_has_them(
    service: Service, admin: httpx.Client, path: str, filters: dict[str, str], found: list[int]
) -> None:
    assert having(admin, path, **filters) == found


def test_who_may_read_nothing_finds_none(service: Service) -> None:
    with service.client("stranger") as stranger:
        assert having(stranger, "v1/build", namespace="team") == []
        imaged(service, service.build("team", "closed", "zlib"))
        assert 4 not in having(stranger, "v1/build")
    with service.client("viewer") as viewer:
        assert 4 in having(viewer, "v1/build")


def test_a_page_of_builds_that_have_them(service: Service, admin: httpx.Client) -> None:
    answer = admin.get("/api/v1/build/", params={"artifact": "DOCKER_BLOB", "size": 1, "page": 2}).json()
    assert ([row["id"] for row in answer["data"]], answer["count"]) == ([3], 2)


def test_they_end_with_the_image(service: Service, admin: httpx.Client) -> None:
    """Whatever is to be kept of deleted builds: what is no file cannot be."""
    kept = ["LOGS", "DIRECTORY", "DOCKER_MANIFEST", "DOCKER_BLOB", "CONTAINER_REGISTRY"]
    values = {"build_artifacts_kept_on_deletion": kept}
    assert admin.put("/api/v1/setting/", json=values).status_code == 200
    assert admin.delete("/api/v1/build/2/").status_code == 200
    assert having(admin, "v1/build") == [2, 3], "until it is cleared up after"
    purge_deleted(service.context)
    assert having(admin, "v1/build") == [3]
    left = {item["artifact_type"] for item in data(admin.get("/api/v1/build/2/"))["build_artifacts"]}
    assert left == {"LOGS"}


# --- the image as an artifact that the setting names ----------------------------------------------------------


@pytest.fixture
def offering(tmp_path: Path) -> Iterator[Service]:
    """All its builds offer their image."""
    with Service(tmp_path) as service, service.client("admin") as admin:
        service.make_namespaces("default")
        values = {"build_artifacts": ["LOCKFILE", "DOCKER_MANIFEST"]}
        assert admin.put("/api/v1/setting/default/", json=values).status_code == 200
        yield service


def image_of(service: Service, build_id: int) -> tuple[str, ArtifactState]:
    with service.context.database.read() as connection:
        query = "SELECT key, state FROM build_artifact WHERE build_id = ? AND artifact_type = ?"
        rows: list[Any] = list(connection.exec_driver_sql(query, (build_id, ArtifactType.DOCKER_MANIFEST.value)))
    ((key, state),) = rows
    return key, ArtifactState(state)


def test_an_image_that_is_offered_is_named_before_anybody_has_pulled_it(offering: Service) -> None:
    build_id = offering.build("default", "one", "zlib")
    with offering.client("admin") as admin:
        reference = admin.get(f"/api/v1/build/{build_id}/docker/").text
        key = reference.rpartition(":")[2]
        assert image_of(offering, build_id) == (f"docker/manifest/{key}", ArtifactState.ON_REQUEST)
        assert admin.get("/api/v1/build/?artifact=DOCKER_MANIFEST").json()["count"] == 1
        assert having(admin, "v1/build") == []
    request_image(offering.context, build_id, FORMS)
    assert offering.pack() == 1
    assert image_of(offering, build_id)[1] is ArtifactState.READY
    pulled = httpx.get(f"http://127.0.0.1:{offering.port}/v2/default/one/manifests/{key}")
    assert json.loads(pulled.content)["layers"]


def test_an_image_that_is_offered_is_made_at_once_where_artifacts_are(tmp_path: Path) -> None:
    with Service(tmp_path, {"packs_on_completion": True}) as service, service.client("admin") as admin:
        values = {"build_artifacts": ["DOCKER_MANIFEST"]}
        assert admin.put("/api/v1/setting/", json=values).status_code == 200
        service.build("default", "one", "zlib")
        assert image_of(service, 1)[1] is ArtifactState.REQUESTED
        assert service.pack() == 1
        assert having(admin, "v1/build") == [1]


def test_an_image_that_was_made_beside_its_build_is_not_made_again(offering: Service) -> None:
    build_id = offering.submit("default", "one", "zlib")
    request_image(offering.context, build_id, FORMS)
    assert image_of(offering, build_id)[1] is ArtifactState.REQUESTED
    assert offering.work() == build_id
    assert image_of(offering, build_id)[1] is ArtifactState.REQUESTED
