from __future__ import annotations

from datetime import datetime

import httpx
import pytest

from conda_store import __version__
from tests.http.service import Service, data


def test_the_status_is_the_version(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/api/v1/")
    assert answer.text == f'{{"status":"ok","data":{{"version":"{__version__}"}},"message":null}}'
    assert answer.headers["content-type"] == "application/json"


def test_an_anonymous_caller_has_what_everybody_has(anonymous: httpx.Client) -> None:
    found = data(anonymous.get("/api/v1/permission/"))
    assert list(found) == ["authenticated", "primary_namespace", "entity_permissions", "entity_roles", "expiration"]
    assert found == {
        "authenticated": False,
        "primary_namespace": "default",
        "entity_permissions": {"default/*": ["environment::read", "namespace-role-mapping::read", "namespace::read"]},
        "entity_roles": {"default/*": ["viewer"]},
        "expiration": None,
    }


def test_a_token_brings_its_bindings(service: Service) -> None:
    with service.client("developer") as client:
        found = data(client.get("/api/v1/permission/"))
    assert found["authenticated"] is True
    assert found["primary_namespace"] == "team"
    assert found["entity_roles"] == {"default/*": ["viewer"], "team/*": ["developer"]}
    assert "environment:create" in found["entity_permissions"]["team/*"]
    assert datetime.fromisoformat(found["expiration"]).tzinfo is None


@pytest.mark.parametrize(
    ("headers", "is_known"),
    [
        ({"Authorization": "Bearer admin"}, True),
        ({"Authorization": "bearer admin"}, True),
        ({"Authorization": "Basic YW55Ym9keTphZG1pbg=="}, True),
        ({"Cookie": "conda-store-auth=admin"}, True),
        ({"Cookie": "conda-store-auth=wrong", "Authorization": "Bearer admin"}, False),
        ({"Authorization": "Bearer wrong"}, False),
        ({"Authorization": "Bearer"}, False),
        ({"Authorization": "Basic %%%"}, False),
        ({"Authorization": "Basic YWRtaW4="}, False),
        ({"Authorization": "Digest admin"}, False),
    ],
)
def test_where_a_token_may_be(anonymous: httpx.Client, headers: dict[str, str], is_known: bool) -> None:
    found = data(anonymous.get("/api/v1/permission/", headers=headers))
    assert found["authenticated"] is is_known


def test_usage_counts_what_the_caller_sees(service: Service, admin: httpx.Client, anonymous: httpx.Client) -> None:
    service.build("usage", "one", "zlib")
    service.build("usage", "one", "zlib")
    service.submit("usage", "two", "zlib")
    used = data(admin.get("/api/v1/usage/"))["usage"]
    assert list(used) == ["num_environments", "num_builds", "storage"]
    assert (used["num_environments"], used["num_builds"]) == (2, 3)
    assert used["storage"] > 0
    assert "usage" not in data(anonymous.get("/api/v1/usage/"))


def test_metrics_are_a_number_a_line(service: Service, anonymous: httpx.Client) -> None:
    service.build("metrics", "one", "zlib")
    answer = anonymous.get("/metrics")
    lines = dict(line.split(" ") for line in answer.text.split("\n"))
    assert answer.headers["content-type"].startswith("text/plain")
    assert {"conda_store_disk_free", "conda_store_disk_total", "conda_store_disk_usage"} <= set(lines)
    assert int(lines["conda_store_build_completed"]) >= 1
    assert int(lines["conda_store_environments"]) >= 1
    assert "conda_store_build_failed" not in lines


def test_workers_are_shown_with_five_keys(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/celery").json()
    assert list(answer) == ["availability", "stats", "registered_tasks", "active_tasks", "scheduled_tasks"]
    assert set(answer.values()) == {None}
