from __future__ import annotations

import httpx
import pytest

from tests.http.service import Service, data, refused

KEYS = [
    "id", "environment_id", "specification", "packages", "status", "status_info", "size", "scheduled_on", "started_on",
    "ended_on", "build_artifacts",
]  # fmt: skip


@pytest.fixture(scope="module")
def builds(service: Service) -> list[int]:
    made = [service.build("alpha", "one", "zlib", "numpy=1.26"), service.build("alpha", "two", "zlib")]
    return [*made, service.build("beta", "one", "fail-always"), service.submit("default", "waiting", "zlib")]


def ids(response: httpx.Response) -> list[int]:
    return [row["id"] for row in data(response)]


def test_rows_have_the_known_keys(builds: list[int], admin: httpx.Client) -> None:
    body = admin.get("/api/v1/build/", params={"size": 1000}).json()
    assert list(body) == ["status", "data", "message", "page", "size", "count"]
    assert (body["page"], body["size"], body["count"]) == (1, 100, 4)
    row = body["data"][0]
    assert list(row) == KEYS
    assert row["specification"] is row["packages"] is row["build_artifacts"] is None
    assert row["status"] == "COMPLETED"
    assert row["size"] > 0
    assert all("+" not in row[key] and "Z" not in row[key] for key in ("scheduled_on", "started_on", "ended_on"))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"order": "desc"}, [3, 2, 1, 0]),
        ({"order": "desc", "sort_by": "scheduled_on"}, [3, 2, 1, 0]),
        ({"sort_by": ["ended_on", "unknown"], "status": "COMPLETED"}, [0, 1]),
        ({"page": 2, "size": 3}, [3]),
        ({"page": 2, "size": 1, "order": "desc"}, [2]),
        ({"page": 5}, []),
        ({"status": "FAILED"}, [2]),
        ({"status": ""}, [0, 1, 2, 3]),
        ({"status": "CANCELED"}, []),
        ({"packages": ["numpy", "zlib"]}, [0]),
        ({"packages": "zlib"}, [0, 1]),
        ({"artifact": "YAML"}, [0, 1]),
        ({"artifact": "YAML", "status": "FAILED"}, []),
        ({"namespace": "alpha", "name": "two"}, [1]),
        ({"name": "one"}, [0, 2]),
        ({"name": "none"}, []),
        ({"environment_id": 1}, [0]),
    ],
)
def test_filters_and_pages(
    builds: list[int], admin: httpx.Client, parameters: dict[str, str], expected: list[int]
) -> None:
    assert ids(admin.get("/api/v1/build/", params=parameters)) == [builds[index] for index in expected]


def test_the_count_is_that_of_all_pages(builds: list[int], admin: httpx.Client) -> None:
    for parameters, count in [({"artifact": "YAML"}, 2), ({"name": "one"}, 2), ({"packages": "zlib"}, 2), ({}, 4)]:
        assert admin.get("/api/v1/build/", params=parameters | {"size": 1}).json()["count"] == count


def test_only_readable_ones_are_listed(builds: list[int], service: Service, anonymous: httpx.Client) -> None:
    assert ids(anonymous.get("/api/v1/build/")) == [builds[3]]
    with service.client("stranger") as client:
        assert client.get("/api/v1/build/", params={"artifact": "YAML"}).json()["count"] == 0


@pytest.mark.parametrize(
    "parameters", [{"status": "x"}, {"artifact": "x"}, {"environment_id": "x"}, {"environment_id": 10**30}, {"size": 0}]
)
def test_impossible_filters_are_refused(admin: httpx.Client, parameters: dict[str, str]) -> None:
    assert admin.get("/api/v1/build/", params=parameters).status_code == 422


def test_one_build_has_everything(builds: list[int], admin: httpx.Client) -> None:
    build = data(admin.get(f"/api/v1/build/{builds[0]}/"))
    assert list(build) == KEYS
    assert build["packages"] is None
    assert build["specification"]["name"] == "one"
    artifacts = build["build_artifacts"]
    assert all(list(item) == ["id", "artifact_type", "key"] for item in artifacts)
    assert {item["artifact_type"] for item in artifacts} == {
        "LOCKFILE", "DIRECTORY", "YAML", "CONDA_PACK", "CONSTRUCTOR_INSTALLER", "LOGS",
    }  # fmt: skip
    keys = {item["artifact_type"]: item["key"] for item in artifacts}
    stem = keys["LOGS"].removeprefix("logs/").removesuffix(".log")
    assert stem.endswith(f"-{builds[0]}-one")
    assert keys["CONDA_PACK"] == f"archive/{stem}.tar.gz"


def test_a_failed_build_says_why(builds: list[int], admin: httpx.Client) -> None:
    build = data(admin.get(f"/api/v1/build/{builds[2]}/"))
    assert build["status"] == "FAILED"
    assert "fail-always" in build["status_info"]


@pytest.mark.parametrize(
    ("build_id", "status"),
    [("999999", 404), ("0", 404), ("abc", 422), ("1.5", 422), (str(2**63), 422), ("9" * 5000, 422)],
)
@pytest.mark.parametrize(
    ("method", "tail"),
    [("GET", ""), ("PUT", ""), ("DELETE", ""), ("PUT", "cancel/"), ("GET", "packages/"), ("GET", "logs/"),
     ("GET", "yaml/"), ("GET", "lockfile/"), ("GET", "archive/"), ("GET", "installer/"), ("GET", "docker/"),
     ("GET", "events/")],
)  # fmt: skip
def test_ids_that_are_none(admin: httpx.Client, method: str, tail: str, build_id: str, status: int) -> None:
    answer = admin.request(method, f"/api/v1/build/{build_id}/{tail}")
    assert answer.status_code == status
    if status == 404:
        assert refused(answer, 404) == "build id does not exist"
    else:
        assert answer.json()["detail"][0]["loc"] == ["path", "build_id"]


def test_a_bad_id_is_answered_in_the_frameworks_shape(admin: httpx.Client) -> None:
    assert admin.get("/api/v1/build/abc/").json() == {
        "detail": [
            {
                "type": "int_parsing",
                "loc": ["path", "build_id"],
                "msg": "Input should be a valid integer, unable to parse string as an integer",
                "input": "abc",
            }
        ]
    }


def test_packages_of_a_build(builds: list[int], admin: httpx.Client) -> None:
    path = f"/api/v1/build/{builds[0]}/packages/"
    body = admin.get(path).json()
    assert list(body) == ["status", "data", "message", "page", "size", "count"]
    assert [(row["name"], row["version"]) for row in body["data"]] == [("numpy", "1.26"), ("zlib", "1.0")]
    row = body["data"][0]
    assert list(row) == ["id", "channel", "license", "name", "version", "summary"]
    assert list(row["channel"]) == ["id", "name", "last_update"]
    assert row["channel"]["name"] == "https://conda.anaconda.org/forge"
    for parameters, names in [
        ({"search": "nump"}, ["numpy"]),
        ({"search": "nump", "exact": "true"}, []),
        ({"search": "numpy", "exact": "1"}, ["numpy"]),
        ({"build": "0"}, ["numpy", "zlib"]),
        ({"build": "x"}, []),
        ({"size": 1, "page": 2}, ["zlib"]),
        ({"order": "desc"}, ["zlib", "numpy"]),
    ]:
        assert [row["name"] for row in data(admin.get(path, params=parameters))] == names


def test_a_rebuild_is_a_new_build(service: Service, admin: httpx.Client) -> None:
    first = service.build("again", "one", "zlib")
    answer = admin.put(f"/api/v1/build/{first}/").json()
    assert answer == {"status": "ok", "data": {"build_id": answer["data"]["build_id"]}, "message": "rebuild triggered"}
    assert answer["data"]["build_id"] > first


def test_cancelling(service: Service, admin: httpx.Client) -> None:
    build_id = service.submit("stopped", "one", "zlib")
    answer = admin.put(f"/api/v1/build/{build_id}/cancel/")
    assert answer.json() == {"status": "ok", "message": f"build {build_id} canceled"}
    assert data(admin.get(f"/api/v1/build/{build_id}/"))["status"] == "CANCELED"
    assert "marked as CANCELED" in admin.get(f"/api/v1/build/{build_id}/logs/").text
    assert admin.put(f"/api/v1/build/{build_id}/cancel/").status_code == 200
    ended = service.build("stopped", "one", "zlib")
    assert "already ended" in refused(admin.put(f"/api/v1/build/{ended}/cancel/"), 409)


def test_deleting(service: Service, admin: httpx.Client) -> None:
    build_id = service.submit("removed", "one", "zlib")
    message = refused(admin.delete(f"/api/v1/build/{build_id}/"), 400)
    assert message == "cannot delete build since not finished building"
    while service.work():
        pass
    assert admin.delete(f"/api/v1/build/{build_id}/").json() == {"status": "ok", "message": None}
    assert list(data(admin.get(f"/api/v1/build/{build_id}/"))) == [*KEYS, "deleted_on"]
    assert build_id in ids(admin.get("/api/v1/build/", params={"namespace": "removed"}))
    message = refused(admin.get(f"/api/v1/build/{build_id}/archive/"), 404)
    assert message == f"build {build_id} has been deleted: it has no archive any more"


def test_heads_are_answered_without_a_body(builds: list[int], admin: httpx.Client) -> None:
    for path in ("/api/v1/", "/api/v1/build/", f"/api/v1/build/{builds[0]}/"):
        answer = admin.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) > 0
    assert admin.head("/api/v1/build/999999/").status_code == 404
    assert admin.head(f"/api/v1/build/{builds[0]}/events/").status_code == 405
