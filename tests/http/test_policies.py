"""Policies: shown before a build is submitted, and telling which rule of which layer refused what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from conda_store.domain.policy import POLICIES
from tests.http.service import Service, data, refused


@pytest.fixture(scope="module", autouse=True)
def rules(service: Service) -> Iterator[None]:
    service.make_namespaces("team", "free")
    with service.client("admin") as admin:
        data(admin.put("/api/v1/setting/", json={"package_cooldown_days": 3}))
        values = {"conda_allowed_channels": ["forge"], "conda_forbidden_packages": ["evil"]}
        data(admin.put("/api/v1/setting/team/", json=values | {"package_cooldown_days": 7}))
        yield
        data(admin.put("/api/v1/setting/", json={"package_cooldown_days": 0}))


def hand_in(client: httpx.Client, text: str, **more: Any) -> httpx.Response:
    return client.post("/api/v1/specification/", json={"namespace": "team", "specification": text} | more)


def lock(channel: str = "https://conda.anaconda.org/forge", name: str = "zlib") -> str:
    package = {
        "name": name, "version": "1.0", "manager": "conda", "platform": "linux-64", "dependencies": {},
        "url": f"{channel}/linux-64/{name}-1.0-0.conda", "hash": {"md5": "0" * 32}, "category": "main",
        "optional": False,
    }  # fmt: skip
    metadata = {
        "content_hash": {"linux-64": "0" * 64}, "channels": [{"url": "forge", "used_env_vars": []}],
        "platforms": ["linux-64"], "sources": [],
    }  # fmt: skip
    return json.dumps({"version": 1, "metadata": metadata, "package": [package]})


def test_what_applies_is_shown_with_its_layer(service: Service) -> None:
    with service.client("viewer") as viewer:
        shown = {row["setting"]: row for row in data(viewer.get("/api/v1/namespace/team/policy/"))}
    assert tuple(shown) == POLICIES
    assert shown["package_cooldown_days"] == {
        "setting": "package_cooldown_days", "value": 7, "layer": "namespace team",
    }  # fmt: skip
    assert shown["allowed_licenses"] == {"setting": "allowed_licenses", "value": [], "layer": "the deployment"}
    with service.client("admin") as admin:
        free = {row["setting"]: row for row in data(admin.get("/api/v1/environment/free/new/policy/"))}
    assert (free["package_cooldown_days"]["value"], free["package_cooldown_days"]["layer"]) == (3, "all namespaces")


def test_policies_are_shown_to_those_who_see_the_namespace_or_may_build_in_it(
    service: Service, anonymous: httpx.Client
) -> None:
    assert anonymous.get("/api/v1/namespace/team/policy/").status_code == 404
    with service.client("stranger") as stranger:
        assert stranger.get("/api/v1/environment/team/x/policy/").status_code == 404
    with service.client("developer") as developer:
        assert developer.get("/api/v1/environment/team/not-there-yet/policy/").status_code == 200


def test_a_refusal_names_rule_layer_and_value(service: Service) -> None:
    with service.client("developer") as developer:
        answer = hand_in(developer, "name: x\nchannels: [other]")
        assert refused(answer, 400) == "Conda channels {'other'} not allowed in specification"
        assert answer.json()["hint"] == "Allowed channels: forge (conda_allowed_channels, set for namespace team)."
        assert answer.json()["refused"] == [
            {"rule": "conda_allowed_channels", "layer": "namespace team", "value": "other",
             "why": "the channel is not allowed"},
        ]  # fmt: skip
        answer = hand_in(developer, "name: x\nchannels: [forge]\ndependencies: [zlib, Evil >=2]")
        assert "Evil >=2: `evil` is forbidden (conda_forbidden_packages, set for namespace team)" in refused(
            answer, 400
        )
        assert [item["rule"] for item in answer.json()["refused"]] == ["conda_forbidden_packages"]


def test_a_lock_keeps_to_the_allowed_channels_unless_it_is_exempt(service: Service, admin: httpx.Client) -> None:
    more = {"is_lockfile": True, "environment_name": "locked"}
    with service.client("developer") as developer:
        answer = hand_in(developer, lock("https://other.example/c"), **more)
        assert "not allowed in a package of the lock" in refused(answer, 400)
        assert answer.json()["refused"][0]["value"] == "https://other.example/c"
        data(admin.put("/api/v1/setting/team/", json={"lockfiles_need_allowed_channels": False}))
        data(hand_in(developer, lock("https://other.example/c"), **more))
        data(admin.put("/api/v1/setting/team/", json={"lockfiles_need_allowed_channels": True}))
        # what was accepted before the rule is not built after it
        build_id = service.work()
        build = data(developer.get(f"/api/v1/build/{build_id}/"))
        assert build["status"] == "FAILED"
        assert "not allowed in a package of the lock" in build["status_info"]
        assert refused(developer.put(f"/api/v1/build/{build_id}/"), 400)


def test_a_lock_is_judged_when_it_is_built(service: Service, admin: httpx.Client) -> None:
    data(admin.put("/api/v1/setting/team/", json={"package_cooldown_days": 0}))
    build_id = data(hand_in(admin, lock(name="evil"), is_lockfile=True, environment_name="locked"))["build_id"]
    assert service.work() == build_id
    build = data(admin.get(f"/api/v1/build/{build_id}/"))
    assert build["status"] == "FAILED"
    assert "`evil` is forbidden (conda_forbidden_packages, set for namespace team)" in build["status_info"]
