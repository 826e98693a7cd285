"""Role mappings of both versions: as clients know them, and what they permit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from conda_store.domain.roles import Roles
from tests.http.service import Service, data, refused

TOKENS = {
    "admin": {"primary_namespace": "default", "role_bindings": {"*/*": ["admin"]}},
    "owner": {"primary_namespace": "team", "role_bindings": {"team/*": ["admin"]}},
    "host": {"primary_namespace": "guests", "role_bindings": {"guests/*": ["admin"]}},
    "guest": {"primary_namespace": "guests", "role_bindings": {}},
    "viewer": {"primary_namespace": "team", "role_bindings": {"team/*": ["viewer"]}},
}
ROLES = Roles.of({"steward": ["namespace::read", "namespace::update", "environment::read"]})
ROLE = "/api/v1/namespace/team/role"
DONE = {"status": "ok", "message": None}
WITHOUT_EFFECT = "It has no effect yet: role mappings of version 1 count here (role_mappings_version)."


@pytest.fixture(scope="module", params=[1, 2], ids=["version1", "version2"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory: Path = tmp_path_factory.mktemp("r")
    deployment = {"role_mappings_version": request.param, "roles": ROLES}
    with Service(directory, deployment, tokens=TOKENS) as service:
        service.make_namespaces("team", "guests", "other")
        service.build("team", "one", "zlib")
        yield service


@pytest.fixture(autouse=True)
def none_given(admin: httpx.Client) -> None:
    for name in ("team", "guests", "other"):
        assert admin.delete(f"/api/v1/namespace/{name}/roles").status_code == 200
        assert admin.put(f"/api/v1/namespace/{name}/", json={"role_mappings": {}}).status_code == 200


def status(service: Service, token: str, path: str = "/api/v1/environment/team/one/") -> int:
    with service.client(token) as client:
        return client.get(path).status_code


def version_of(service: Service) -> int:
    return service.context.deployment.role_mappings_version


def kept_by(service: Service) -> dict[str, Any]:
    """What a role mapping of version 2 is answered with."""
    return DONE if version_of(service) == 2 else DONE | {"message": WITHOUT_EFFECT}


def give(service: Service, admin: httpx.Client, role: str, namespace: str = "team") -> None:
    """Those of guests get a role in a whole namespace, by the version that counts."""
    if version_of(service) == 1:
        body: dict[str, Any] = {"role_mappings": {f"{namespace}/*": [role]}}
        answer = admin.put("/api/v1/namespace/guests/", json=body)
    else:
        body = {"other_namespace": "guests", "role": role}
        answer = admin.post(f"/api/v1/namespace/{namespace}/role", json=body)
    assert answer.status_code == 200, answer.text


def test_version_2_is_kept_as_clients_know_it(service: Service, admin: httpx.Client) -> None:
    assert admin.post(ROLE, json={"other_namespace": "guests", "role": "editor"}).json() == kept_by(service)
    row = data(admin.get(ROLE, params={"other_namespace": "guests"}))
    assert list(row) == ["id", "namespace", "other_namespace", "role"]
    assert (row["namespace"], row["other_namespace"], row["role"]) == ("team", "guests", "developer")
    assert data(admin.get("/api/v1/namespace/team/roles")) == [row]
    again = admin.post(ROLE, json={"other_namespace": "guests", "role": "viewer"})
    assert "already" in refused(again, 409)
    assert admin.put(ROLE, json={"other_namespace": "guests", "role": "admin"}).json() == kept_by(service)
    assert data(admin.get("/api/v1/namespace/team/roles"))[0]["role"] == "admin"
    for _ in range(2):
        assert admin.request("DELETE", ROLE, json={"other_namespace": "guests"}).json() == DONE
    assert refused(admin.get(ROLE, params={"other_namespace": "guests"}), 404) == "failed to find role"
    assert refused(admin.put(ROLE, json={"other_namespace": "guests", "role": "admin"}), 404) == "failed to find role"


def test_version_2_refuses_what_does_not_exist(admin: httpx.Client) -> None:
    assert admin.get(ROLE).status_code == 422
    assert refused(admin.get(ROLE, params={"other_namespace": "x"}), 400) == "Namespace='x' not found"
    for method in ("POST", "PUT"):
        answer = admin.request(method, ROLE, json={"other_namespace": "x", "role": "viewer"})
        assert refused(answer, 400) == "Namespace='x' not found"
        answer = admin.request(method, ROLE, json={"other_namespace": "guests", "role": "boss"})
        assert refused(answer, 400) == "invalid role=boss"
        assert answer.json()["hint"] == "Roles are viewer, developer (= editor), admin, steward."
    assert refused(admin.get("/api/v1/namespace/nowhere/roles"), 404) == "namespace does not exist"


def test_version_1_is_kept_as_clients_know_it(admin: httpx.Client) -> None:
    path = "/api/v1/namespace/guests/"
    body = {"metadata": {"owner": "Zoë"}, "role_mappings": {"team/*": ["editor", "viewer"], "o*/*": ["steward"]}}
    assert admin.put(path, json=body).json() == DONE
    found = data(admin.get(path))
    assert found["metadata_"] == {"owner": "Zoë"}
    assert [list(row) for row in found["role_mappings"]] == [["id", "entity", "role"]] * 3
    shown = {(row["entity"], row["role"]) for row in found["role_mappings"]}
    assert shown == {("team/*", "developer"), ("team/*", "viewer"), ("o*/*", "steward")}
    assert admin.put(path, json={}).json() == DONE
    assert len(data(admin.get(path))["role_mappings"]) == 3
    assert admin.put(path, json={"role_mappings": {"team/*": ["viewer"]}}).json() == DONE
    assert len(data(admin.get(path))["role_mappings"]) == 1


@pytest.mark.parametrize("mappings", [{"team": ["viewer"]}, {"team/*": ["boss"]}, {"a b/*": ["viewer"]}])
def test_version_1_refuses_what_is_no_entity_or_role(admin: httpx.Client, mappings: dict[str, list[str]]) -> None:
    answer = admin.put("/api/v1/namespace/guests/", json={"role_mappings": mappings})
    assert refused(answer, 400) == f"invalid entity={next(iter(mappings))}"


def test_only_the_configured_version_gives_roles(service: Service, admin: httpx.Client) -> None:
    assert status(service, "guest") == 404
    admin.post(ROLE, json={"other_namespace": "guests", "role": "viewer"})
    assert status(service, "guest") == (200 if version_of(service) == 2 else 404)
    admin.delete("/api/v1/namespace/team/roles")
    assert status(service, "guest") == 404
    admin.put("/api/v1/namespace/guests/", json={"role_mappings": {"team/o*": ["viewer"]}})
    assert status(service, "guest") == (200 if version_of(service) == 1 else 404)


def test_custom_roles_permit_what_the_configuration_says(service: Service, admin: httpx.Client) -> None:
    give(service, admin, "steward")
    with service.client("guest") as client:
        assert client.put("/api/v1/namespace/team/metadata", json={}).status_code == 200
        assert client.get("/api/v1/setting/team/").status_code == 403
        assert data(client.get("/api/v1/permission/"))["entity_roles"]["team/*"] == ["steward"]


def test_a_namespace_that_is_made_again_has_no_old_roles(service: Service, admin: httpx.Client) -> None:
    path = "/api/v1/environment/passing/one/"
    service.build("passing", "one", "zlib")
    give(service, admin, "viewer", "passing")
    assert status(service, "guest", path) == 200
    assert admin.delete("/api/v1/namespace/passing/").status_code == 200
    service.build("passing", "one", "zlib")
    assert status(service, "guest", path) == 404
    # nor does it hold what another of that name has held
    assert admin.put("/api/v1/namespace/passing/", json={"role_mappings": {"team/*": ["admin"]}}).json() == DONE
    assert admin.post(ROLE, json={"other_namespace": "passing", "role": "admin"}).json() == kept_by(service)
    assert admin.delete("/api/v1/namespace/passing/").status_code == 200
    assert data(admin.get("/api/v1/namespace/team/roles")) == []
    assert admin.post("/api/v1/namespace/passing/").status_code == 200
    assert data(admin.get("/api/v1/namespace/passing/"))["role_mappings"] == []


def test_nobody_gives_more_than_they_hold(service: Service, admin: httpx.Client) -> None:
    with service.client("owner") as client:
        assert client.post(ROLE, json={"other_namespace": "guests", "role": "admin"}).json() == kept_by(service)
        assert client.delete("/api/v1/namespace/team/roles").json() == DONE
    path = "/api/v1/namespace/guests/"
    with service.client("host") as client:
        # else an admin of guests could make its users viewers of everything
        answer = client.put(path, json={"role_mappings": {"*/*": ["viewer"]}})
        assert refused(answer, 403) == "request not authorized"
        assert "Nobody can give more than they hold" in answer.json()["hint"]
    assert admin.put(path, json={"role_mappings": {"o*/*": ["viewer"]}}).json() == DONE
    with service.client("host") as client:
        # what is there already may stay
        assert client.put(path, json={"role_mappings": {"o*/*": ["viewer"], "guests/*": ["viewer"]}}).json() == DONE
        assert client.put(path, json={"role_mappings": {"o*/*": ["admin"]}}).status_code == 403


def test_a_token_cannot_take_the_roles_of_another_namespace(service: Service, admin: httpx.Client) -> None:
    """The primary namespace of a token is of its owner's choosing, and gives nothing."""
    give(service, admin, "admin")
    with service.client("viewer") as client:
        token = data(client.post("/api/v1/token/", json={"primary_namespace": "guests"}))["token"]
    with service.client(token) as client:
        assert client.get("/api/v1/environment/team/one/").status_code == 200
        assert client.put("/api/v1/namespace/team/metadata", json={}).status_code == 403


def test_a_narrowed_token_gets_nothing_beyond_its_limits(service: Service, admin: httpx.Client) -> None:
    with service.client("guest") as client:
        token = data(client.post("/api/v1/token/", json={"role_bindings": {"default/*": ["viewer"]}}))["token"]
    give(service, admin, "admin")
    assert status(service, "guest") == 200
    assert status(service, token) == 404


def test_mappings_are_made_and_removed_on_the_page_of_the_namespace(service: Service) -> None:
    is_first = service.context.deployment.role_mappings_version == 1
    # whose admin gives it, on which page, in which words
    giver, name, path, form = (
        ("admin", "guests", "mapping", {"entity": "team/*", "role": "viewer"})
        if is_first
        else ("owner", "team", "role", {"other": "guests", "role": "viewer"})
    )
    given, shown = ("team/*", "Take viewer on team/*") if is_first else ("guests", "Take the role from guests")
    with service.client() as client:
        client.headers["Accept"] = "text/html"
        client.get("/login/", params={"token": giver})
        assert status(service, "guest") == 404
        for _ in range(1 + is_first):  # the same once more changes nothing, or is refused in version 2
            answer = client.post(f"/namespace/{name}/{path}/", data=form)
            assert answer.headers["location"] == f"/namespace/{name}/?said=shared"
        page = client.get(f"/namespace/{name}/").text
        assert page.count(shown) == 1
        assert status(service, "guest") == 200
        answer = client.post(f"/namespace/{name}/{path}/remove/", data=form)
        assert answer.headers["location"] == f"/namespace/{name}/?said=unshared"
        assert shown not in client.get(f"/namespace/{name}/").text
        assert status(service, "guest") == 404
        wrong = dict.fromkeys(form, "no/such/thing")
        answer = client.post(f"/namespace/{name}/{path}/", data=wrong)
        assert (answer.status_code, 'value="no/such/thing"' in answer.text) == (400, True), given


def test_who_holds_nothing_elsewhere_gives_nothing_there(service: Service) -> None:
    with service.client() as client:
        client.headers["Accept"] = "text/html"
        client.get("/login/", params={"token": "host"})
        answer = client.post("/namespace/guests/mapping/", data={"entity": "team/*", "role": "viewer"})
        assert (answer.status_code, "Nobody can give more than they hold" in answer.text) == (400, True)
        assert status(service, "guest") == 404
