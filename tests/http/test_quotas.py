"""Quotas: kept when builds are submitted, also at the same moment; shown with what is used."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from conda_store.services.quotas import claim_build
from tests.http.service import Service, data, refused


def hand_in(client: httpx.Client, namespace: str, name: str) -> httpx.Response:
    body = {"namespace": namespace, "specification": f"name: {name}\nchannels: [forge]\ndependencies: [zlib]"}
    return client.post("/api/v1/specification/", json=body)


def limit(admin: httpx.Client, namespace: str, **quotas: Any) -> None:
    data(admin.put(f"/api/v1/setting/{namespace}/", json=quotas))


def test_environments_and_builds_are_counted(service: Service, admin: httpx.Client) -> None:
    limit(admin, "counted", quota_environments=1, quota_builds=2)
    first = data(hand_in(admin, "counted", "one"))["build_id"]
    answer = hand_in(admin, "counted", "two")
    assert "1 of 1 environments (quota_environments, set for namespace counted)" in refused(answer, 400)
    assert answer.json()["refused"] == [
        {"rule": "quota_environments", "layer": "namespace counted", "value": "counted", "why": "1 of 1 are used"},
    ]  # fmt: skip
    data(hand_in(admin, "counted", "one"))
    assert "2 of 2 builds" in refused(hand_in(admin, "counted", "one"), 400)
    assert "2 of 2 builds" in refused(admin.put(f"/api/v1/build/{first}/"), 400)
    shown = {row["name"]: row for row in data(admin.get("/api/v1/namespace/counted/quota/"))}
    assert shown["quota_builds"] == {"name": "quota_builds", "limit": 2, "used": 2, "layer": "namespace counted"}
    assert shown["quota_bytes"]["limit"] is None
    while service.work():
        pass
    data_of_deletion = admin.delete(f"/api/v1/build/{first}/")
    assert data_of_deletion.status_code == 200
    data(hand_in(admin, "counted", "one"))
    # other namespaces are not affected
    data(hand_in(admin, "uncounted", "two"))


def test_bytes_are_counted(service: Service, admin: httpx.Client) -> None:
    limit(admin, "heavy", quota_bytes=1)
    data(hand_in(admin, "heavy", "one"))
    while service.work():
        pass
    assert "of 1 bytes (quota_bytes, set for namespace heavy)" in refused(hand_in(admin, "heavy", "one"), 400)


def test_requests_at_the_same_moment_do_not_exceed_a_quota_together(service: Service, admin: httpx.Client) -> None:
    limit(admin, "race", quota_environments=3)
    with service.client("admin") as client, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: hand_in(client, "race", f"e{number}").status_code, range(24)))
    assert Counter(answers) == {200: 3, 400: 21}


def test_only_admins_of_the_deployment_set_quotas_for_namespaces(service: Service, admin: httpx.Client) -> None:
    service.make_namespaces("team")
    with service.client("owner") as owner:
        assert owner.put("/api/v1/setting/team/", json={"quota_bytes": None}).status_code == 403
    message = refused(admin.put("/api/v1/setting/team/env/", json={"quota_bytes": 1}), 400)
    assert "cannot be set within an environment" in message


def test_builds_beyond_the_limit_wait_while_others_pass(service: Service, admin: httpx.Client) -> None:
    while service.work():
        pass
    limit(admin, "narrow", quota_concurrent_builds=1, quota_build_seconds=7)
    first = data(hand_in(admin, "narrow", "one"))["build_id"]
    second = data(hand_in(admin, "narrow", "two"))["build_id"]
    other = data(hand_in(admin, "wide", "one"))["build_id"]
    claims = [claim_build(service.context, "worker") for _ in range(3)]
    assert [claim and claim.lease.build_id for claim in claims] == [first, other, None]
    assert claims[0] is not None
    assert claims[0].seconds == 7
    assert claims[1] is not None
    assert claims[1].seconds is None
    shown = {row["name"]: row for row in data(admin.get("/api/v1/namespace/narrow/quota/"))}
    assert shown["quota_concurrent_builds"]["used"] == 1
    limit(admin, "narrow", quota_concurrent_builds=2)
    claim = claim_build(service.context, "worker")
    assert claim is not None
    assert claim.lease.build_id == second


@pytest.mark.parametrize("value", [0, -1, 1.5, "many"])
def test_limits_that_cannot_be(admin: httpx.Client, value: object) -> None:
    assert admin.put("/api/v1/setting/x/", json={"quota_concurrent_builds": value}).status_code == 400
