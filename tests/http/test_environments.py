from __future__ import annotations

import base64
import json

import httpx
import pytest

from tests.http.service import Service, data, refused

END = "eyJsYXN0X2lkIjpudWxsLCJsYXN0X3ZhbHVlIjpudWxsfQ=="


@pytest.fixture(scope="module")
def filled(service: Service) -> dict[str, int]:
    """Environments by name, each with the id of its build."""
    builds = {name: service.build("alpha", name, "zlib", "numpy") for name in ("one", "two", "three")}
    builds["four"] = service.build("beta", "four", "zlib")
    builds["broken"] = service.build("beta", "broken", "fail-always")
    builds["under_score"] = service.build("beta", "under_score", "zlib")
    builds["waiting"] = service.submit("default", "waiting", "zlib")
    return builds


def names(response: httpx.Response) -> list[str]:
    return [f"{row['namespace']['name']}/{row['name']}" for row in data(response)]


def test_without_a_page_all_rows_come(filled: dict[str, int], admin: httpx.Client) -> None:
    answer = admin.get("/api/v1/environment/")
    assert answer.headers["deprecation"] == "True"
    assert answer.headers["sunset"] == "Mon, 17 Mar 2025 00:00:00 UTC"
    body = answer.json()
    assert list(body) == ["status", "data", "message", "page", "size", "count"]
    assert (body["page"], body["count"], len(body["data"])) == (1, 7, 7)


def test_a_row_has_the_known_keys(filled: dict[str, int], admin: httpx.Client) -> None:
    row = data(admin.get("/api/v1/environment/", params={"name": "one"}))[0]
    assert list(row) == ["id", "namespace", "name", "current_build_id", "current_build", "description"]
    assert list(row["namespace"]) == ["id", "name", "metadata_", "role_mappings"]
    assert row["current_build_id"] == filled["one"]
    assert row["current_build"] is None
    assert row["description"] == ""


def test_the_status_of_the_current_build_is_for_those_who_ask(filled: dict[str, int], admin: httpx.Client) -> None:
    rows = data(admin.get("/api/v1/environment/", params={"with_status": "true", "sort_by": "name"}))
    assert {row["name"]: row["current_build_status"] for row in rows} == {
        **dict.fromkeys(("one", "two", "three", "four", "under_score"), "COMPLETED"),
        "broken": "FAILED",
        "waiting": "QUEUED",
    }
    failed = data(admin.get("/api/v1/environment/", params={"with_status": "true", "status": "FAILED"}))
    assert [row["current_build_status"] for row in failed] == ["FAILED"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"page": 1, "size": 3}, ["alpha/one", "alpha/three", "alpha/two"]),
        ({"page": 3, "size": 3}, ["default/waiting"]),
        ({"page": 9, "size": 3}, []),
        ({"page": 1, "size": 2, "order": "desc"}, ["default/waiting", "beta/under_score"]),
        ({"page": 1, "size": 2, "sort_by": "name"}, ["beta/broken", "beta/four"]),
        ({"page": 4, "size": 2, "sort_by": "name"}, ["default/waiting"]),
        ({"search": "FOUR"}, ["beta/four"]),
        ({"search": "et"}, ["beta/broken", "beta/four", "beta/under_score"]),
        ({"search": "ONE"}, ["alpha/one"]),
        ({"search": "r_s"}, ["beta/under_score"]),
        ({"search": "%"}, []),
        ({"namespace": "beta", "status": "FAILED"}, ["beta/broken"]),
        ({"status": "QUEUED"}, ["default/waiting"]),
        ({"packages": ["numpy", "zlib"]}, ["alpha/one", "alpha/three", "alpha/two"]),
        ({"packages": "missing"}, []),
        ({"artifact": "CONDA_PACK", "namespace": "beta"}, ["beta/four", "beta/under_score"]),
        ({"artifact": "DOCKER_MANIFEST"}, []),
    ],
)  # fmt: skip
def test_filters_and_pages(
    filled: dict[str, int], admin: httpx.Client, parameters: dict[str, str], expected: list[str]
) -> None:
    assert names(admin.get("/api/v1/environment/", params=parameters)) == expected


def test_the_size_has_a_cap(filled: dict[str, int], admin: httpx.Client) -> None:
    assert admin.get("/api/v1/environment/", params={"size": 1000}).json()["size"] == 100


def test_a_token_in_the_query_narrows_the_list(filled: dict[str, int], admin: httpx.Client) -> None:
    assert names(admin.get("/api/v1/environment/", params={"jwt": "viewer"})) == ["default/waiting"]
    assert "not valid" in refused(admin.get("/api/v1/environment/", params={"jwt": "nobody"}), 400)


def test_v2_walks_all_pages_with_cursors(filled: dict[str, int], admin: httpx.Client) -> None:
    found: list[str] = []
    cursor = None
    for _ in range(10):
        parameters = {"limit": 2, "sort_by": "namespace,name"} | ({"cursor": cursor} if cursor else {})
        body = admin.get("/api/v2/environment/", params=parameters).json()
        assert list(body) == ["data", "status", "message", "cursor", "count"]
        assert body["count"] == 7
        found += [row["name"] for row in body["data"]]
        cursor = body["cursor"]
        if not body["data"]:
            break
    assert cursor == END
    assert found == ["one", "three", "two", "broken", "four", "under_score", "waiting"]


def test_v2_rows_and_cursors_look_as_known(filled: dict[str, int], admin: httpx.Client) -> None:
    body = admin.get("/api/v2/environment/", params={"limit": 1, "sort_by": "name", "order": "desc"}).json()
    (row,) = body["data"]
    assert list(row) == ["id", "namespace", "name", "current_build_id", "description"]
    decoded = base64.b64decode(body["cursor"])
    assert json.loads(decoded) == {"last_id": row["id"], "last_value": {"name": row["name"]}}
    assert b" " not in decoded


def cursor(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"sort_by": "x"}, 400),
        ({"cursor": "x"}, 400),
        ({"cursor": cursor({"last_id": 1})}, 400),
        ({"cursor": cursor({"last_id": "a", "last_value": {}})}, 400),
        ({"cursor": cursor({"last_id": 2**70, "last_value": {}})}, 400),
        ({"sort_by": "name", "cursor": cursor({"last_id": 1, "last_value": {}})}, 400),
        ({"sort_by": "name", "cursor": cursor({"last_id": 1, "last_value": {"name": [1]}})}, 400),
        ({"sort_by": "name", "cursor": cursor({"last_id": 1, "last_value": {"name": "\0"}})}, 400),
        ({"cursor": base64.b64encode(b"[" * 20_000).decode()}, 400),
        ({"order": "up"}, 422),
        ({"limit": 0}, 422),
        ({"limit": "many"}, 422),
        ({"status": "WHATEVER"}, 422),
    ],
)
def test_v2_refuses_what_it_cannot_use(admin: httpx.Client, parameters: dict[str, str], status: int) -> None:
    assert admin.get("/api/v2/environment/", params=parameters).status_code == status


def test_v2_names_the_columns_it_sorts_by(admin: httpx.Client) -> None:
    message = refused(admin.get("/api/v2/environment/", params={"sort_by": "x"}), 400)
    assert message == "Cannot sort results by ['x']. Valid sort_by values are ['namespace', 'name']"


@pytest.mark.parametrize("parameters", [{"page": 0}, {"page": -1}, {"size": 0}, {"size": "x"}, {"page": 10**30}])
def test_v1_refuses_impossible_pages(admin: httpx.Client, parameters: dict[str, str]) -> None:
    assert admin.get("/api/v1/environment/", params=parameters).status_code == 422


def test_one_environment(filled: dict[str, int], admin: httpx.Client, anonymous: httpx.Client) -> None:
    assert data(admin.get("/api/v1/environment/beta/four/"))["current_build_id"] == filled["four"]
    assert data(anonymous.get("/api/v1/environment/waiting/"))["namespace"]["name"] == "default"
    assert refused(admin.get("/api/v1/environment/beta/none/"), 404) == "environment does not exist"
    assert refused(anonymous.get("/api/v1/environment/beta/four/"), 404) == "environment does not exist"


def test_rolling_back_and_describing(service: Service, admin: httpx.Client) -> None:
    first, second = (service.build("gamma", "rolled", "zlib") for _ in range(2))
    failed = service.build("gamma", "rolled", "fail-always")
    foreign = service.build("delta", "rolled", "zlib")
    path = "/api/v1/environment/gamma/rolled/"
    assert data(admin.get(path))["current_build_id"] == second
    assert admin.put(path, json={"build_id": str(first)}).json() == {"status": "ok", "message": None}
    assert data(admin.get(path))["current_build_id"] == first
    assert admin.put(path, json={"description": "back again"}).status_code == 200
    assert data(admin.get(path))["description"] == "back again"
    assert admin.put(path, json={}).status_code == 200
    for build_id, text in [
        (77777, "build id=77777 does not exist"),
        (failed, "cannot update environment to build id since not completed"),
        (foreign, "cannot update environment to build id since specification does not match environment name"),
    ]:
        assert refused(admin.put(path, json={"build_id": build_id}), 400) == text
    assert data(admin.get(path))["current_build_id"] == first
    for body in ({"build_id": "x"}, {"build_id": 10**30}, {"description": 7}, {"description": "a\0"}, []):
        assert admin.put(path, json=body).status_code == 422


def test_a_deleted_environment_is_gone_and_its_name_is_free(service: Service, admin: httpx.Client) -> None:
    build_id = service.build("epsilon", "gone", "zlib")
    assert admin.delete("/api/v1/environment/epsilon/gone/").json() == {"status": "ok", "message": None}
    assert admin.delete("/api/v1/environment/epsilon/gone/").status_code == 404
    assert admin.get(f"/api/v1/build/{build_id}/").status_code == 404
    assert admin.get("/api/v1/build/", params={"namespace": "epsilon"}).json()["count"] == 0
    again = service.build("epsilon", "gone", "zlib")
    assert data(admin.get("/api/v1/environment/epsilon/gone/"))["current_build_id"] == again
