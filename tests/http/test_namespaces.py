from __future__ import annotations

import httpx
import pytest

from tests.http.service import Service, data, refused


def test_the_list_is_paged_and_sorted(service: Service, admin: httpx.Client) -> None:
    service.make_namespaces("list-b", "list-a", "list-c")
    answer = admin.get("/api/v1/namespace/", params={"size": 2, "order": "desc", "sort_by": "name"}).json()
    assert list(answer) == ["status", "data", "page", "size", "count"]
    assert [list(row) for row in answer["data"]] == [["id", "name"]] * 2
    assert [row["name"] for row in answer["data"]] == ["list-c", "list-b"]
    second = admin.get("/api/v1/namespace/", params={"size": 2, "page": 2, "order": "desc"}).json()
    assert [row["name"] for row in second["data"]] == ["list-a"]
    assert (second["page"], second["size"], second["count"]) == (2, 2, 3)


def test_only_what_is_bound_is_listed(service: Service) -> None:
    service.make_namespaces("team", "elsewhere")
    with service.client("viewer") as client:
        assert [row["name"] for row in data(client.get("/api/v1/namespace/"))] == ["team"]


def test_one_has_its_metadata(service: Service, admin: httpx.Client) -> None:
    assert admin.post("/api/v1/namespace/described/").json() == {"status": "ok", "message": None}
    answer = admin.put("/api/v1/namespace/described/metadata", json={"owner": "Zoë", "costs": {"centre": 7}})
    assert answer.json() == {"status": "ok", "message": None}
    found = data(admin.get("/api/v1/namespace/described/"))
    assert list(found) == ["id", "name", "metadata_", "role_mappings"]
    assert found["metadata_"] == {"owner": "Zoë", "costs": {"centre": 7}}


def test_creating_it_twice_is_a_conflict(admin: httpx.Client) -> None:
    assert admin.post("/api/v1/namespace/twice/").status_code == 200
    assert refused(admin.post("/api/v1/namespace/twice/"), 409) == "namespace already exists"


def test_a_deleted_one_is_gone_with_its_environments_and_can_be_made_again(
    service: Service, admin: httpx.Client
) -> None:
    service.build("doomed", "one", "zlib")
    assert admin.delete("/api/v1/namespace/doomed/").json() == {"status": "ok", "message": None}
    assert refused(admin.get("/api/v1/namespace/doomed/"), 404) == "namespace does not exist"
    assert refused(admin.get("/api/v1/environment/doomed/one/"), 404) == "environment does not exist"
    assert admin.get("/api/v1/environment/", params={"namespace": "doomed"}).json()["count"] == 0
    assert admin.post("/api/v1/namespace/doomed/").status_code == 200


@pytest.mark.parametrize("name", ["a b", "a*b", "n" * 256, "ä", "..%2Fx", "a%0Ab"])
def test_an_impossible_name_is_refused(admin: httpx.Client, name: str) -> None:
    assert admin.post(f"/api/v1/namespace/{name}/").status_code in {400, 404}


@pytest.mark.parametrize("body", [b"[]", b"1", b"{", b'{"a": NaN}', b'{"a": "\\u0000"}', b'{"a": "\\ud800"}'])
def test_metadata_must_be_a_document(service: Service, admin: httpx.Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert admin.put("/api/v1/namespace/any/metadata", content=body, headers=headers).status_code == 422
