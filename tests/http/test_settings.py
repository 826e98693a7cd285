from __future__ import annotations

import httpx
import pytest

from conda_store.domain.settings import DEPLOYMENT_DECIDES
from tests.http.service import Service, data, refused

KEYS = {
    "default_namespace", "filesystem_namespace", "default_uid", "default_gid", "default_permissions",
    "storage_threshold", "conda_command", "conda_platforms", "conda_max_solve_time", "conda_indexed_channels",
    "build_artifacts_kept_on_deletion", "conda_solve_platforms", "conda_channel_alias", "conda_default_channels",
    "conda_allowed_channels", "conda_default_packages", "conda_required_packages", "conda_included_packages",
    "pypi_default_packages", "pypi_required_packages", "pypi_included_packages", "build_artifacts",
} | DEPLOYMENT_DECIDES  # fmt: skip


def test_the_levels_lie_over_each_other(admin: httpx.Client) -> None:
    assert set(data(admin.get("/api/v1/setting/"))) == KEYS
    for path, value in [("", ["a"]), ("one/", ["b"]), ("one/env/", ["c"])]:
        answer = admin.put(f"/api/v1/setting/{path}", json={"conda_included_packages": value})
        assert answer.json() == {
            "status": "ok", "data": None, "message": "global setting keys ['conda_included_packages'] updated",
        }  # fmt: skip
    for path, value in [("", "a"), ("one/", "b"), ("one/env/", "c"), ("one/other/", "b"), ("two/env/", "a")]:
        assert data(admin.get(f"/api/v1/setting/{path}"))["conda_included_packages"] == [value]
    assert data(admin.get("/api/v1/setting/?namespace=one"))["conda_included_packages"] == ["b"]
    queried = admin.get("/api/v1/setting/one/", params={"environment_name": "env"})
    assert data(queried)["conda_included_packages"] == ["c"]


def test_what_is_dropped_leaves_the_level_above(admin: httpx.Client) -> None:
    for path, value in [("", ["a"]), ("one/", ["b"]), ("one/env/", ["c"])]:
        admin.put(f"/api/v1/setting/{path}", json={"conda_included_packages": value, "build_artifacts": []})
    for path, left in [("one/env/", "b"), ("one/", "a")]:
        url = f"/api/v1/setting/{path}?unset=conda_included_packages"
        assert admin.put(url, json={"conda_default_packages": ["d"]}).status_code == 200
        found = data(admin.get("/api/v1/setting/one/env/"))
        assert (found["conda_included_packages"], found["build_artifacts"]) == ([left], [])
        assert found["conda_default_packages"] == ["d"]
    admin.put("/api/v1/setting/?unset=conda_included_packages&unset=build_artifacts", json={})
    assert data(admin.get("/api/v1/setting/"))["conda_included_packages"] == []
    assert data(admin.get("/api/v1/setting/"))["build_artifacts"]
    assert "Invalid setting keys {'x'}" in refused(admin.put("/api/v1/setting/?unset=x", json={}), 400)
    twice = admin.put("/api/v1/setting/?unset=build_artifacts", json={"build_artifacts": []})
    assert "both set and unset" in refused(twice, 400)


def test_a_namespace_cannot_drop_a_policy_set_for_it(service: Service) -> None:
    service.make_namespaces("team")
    with service.client("owner") as owner:
        assert owner.put("/api/v1/setting/team/?unset=build_artifacts", json={}).status_code == 200
        refused(owner.put("/api/v1/setting/team/?unset=package_cooldown_days", json={}), 403)


@pytest.mark.parametrize(
    ("path", "values", "message"),
    [
        ("", {"x": 1}, "Invalid setting keys {'x'}"),
        ("", {"storage_threshold": "much"}, "validation error"),
        ("", {"conda_default_channels": "forge"}, "validation error"),
        ("", {"default_namespace": None}, "validation error"),
        ("a/", {"default_uid": 1},
         "Setting default_uid is a global setting and cannot be set within a namespace or environment"),
    ],
)  # fmt: skip
def test_what_cannot_be_set(admin: httpx.Client, path: str, values: dict[str, object], message: str) -> None:
    assert message in refused(admin.put(f"/api/v1/setting/{path}", json=values), 400)


@pytest.mark.parametrize(
    "values", [{"package_cooldown_days": 0}, {"conda_allowed_channels": [], "build_artifacts": []}]
)
def test_a_namespace_cannot_free_itself_of_policies(service: Service, values: dict[str, object]) -> None:
    service.make_namespaces("team")
    with service.client("owner") as owner:
        answer = owner.put("/api/v1/setting/team/", json=values)
        assert refused(answer, 403) == "request not authorized"
        assert "admins of the whole deployment" in answer.json()["hint"]
        assert "build_artifacts" not in answer.json()["hint"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"package_cooldown_days": -1}, "it is from 0 to 36500"),
        ({"lockfiles_need_allowed_channels": 1}, "true or false"),
        ({"conda_forbidden_packages": ["=="]}, "setting conda_forbidden_packages: "),
    ],
)
def test_policies_that_cannot_be(admin: httpx.Client, values: dict[str, object], message: str) -> None:
    assert message in refused(admin.put("/api/v1/setting/any/", json=values), 400)


def test_a_body_must_be_an_object(admin: httpx.Client) -> None:
    assert admin.put("/api/v1/setting/", json=[1]).status_code == 422


def test_names_must_be_names(admin: httpx.Client) -> None:
    assert admin.put(f"/api/v1/setting/{'n' * 256}/", json={}).status_code == 400


def test_the_deployments_settings_need_all_rights(service: Service, anonymous: httpx.Client) -> None:
    assert anonymous.get("/api/v1/setting/").status_code == 403
    service.make_namespaces("team")
    with service.client("owner") as client:
        assert client.get("/api/v1/setting/").status_code == 403
        assert client.get("/api/v1/setting/team/").status_code == 200
        assert client.put("/api/v1/setting/team/env/", json={}).status_code == 200
