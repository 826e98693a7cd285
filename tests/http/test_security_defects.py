"""What conda-store's earlier server let people do (S1 to S12 of the list that this project began with), and ours not.

More on each is in the tests of its own part; here every one has a test of its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from conda_store.auth.rules import AccessRules
from conda_store.client.kept import KeptEnvironments
from conda_store.client.models import Build
from conda_store.db import builds
from conda_store.domain.access import Actor, Target
from conda_store.domain.roles import Permission
from conda_store.server.options import ServerOptions
from tests.http.service import Service, data, refused
from tests.waiting import PATIENCE

TOKENS = {
    "admin": {"primary_namespace": "default", "role_bindings": {"*/*": ["admin"]}},
    "one": {"primary_namespace": "escal", "role_bindings": {"escal/env1": ["admin"]}},
    "dot": {"primary_namespace": "a.b", "role_bindings": {"a.b/*": ["viewer"], "x+y^z/*": ["viewer"]}},
    "low": {"primary_namespace": "my_ns", "role_bindings": {"my_ns/*": ["viewer"], "team_*/*": ["viewer"]}},
    "both": {"primary_namespace": "mine", "role_bindings": {"mine/*": ["developer"], "theirs/*": ["viewer"]}},
    "reader": {"primary_namespace": "r", "role_bindings": {"conda-store-dynamic/*": ["viewer"]}},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    nothing: dict[str, list[str]] = {}
    bindings = {"unauthenticated_role_bindings": nothing, "authenticated_role_bindings": nothing}
    with Service(tmp_path_factory.mktemp("d"), tokens=TOKENS, **bindings) as service:
        yield service


def names(client: httpx.Client) -> set[str]:
    return {f"{row['namespace']['name']}/{row['name']}" for row in data(client.get("/api/v1/environment/"))}


def test_s1_anonymous_never_becomes_authenticated(anonymous: httpx.Client) -> None:
    refused(anonymous.post("/api/v1/token/"), 401)
    answer = anonymous.get("/token")  # of the registry: it stands for nobody
    with httpx.Client(base_url=anonymous.base_url, timeout=PATIENCE) as client:
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        assert data(client.get("/api/v1/permission/"))["authenticated"] is False
        refused(client.post("/api/v1/token/"), 401)


def test_s2_who_may_read_nothing_learns_nothing(service: Service, anonymous: httpx.Client) -> None:
    with service.client("dot") as viewer:
        for client in (anonymous, viewer):
            refused(client.get("/api/v1/specification/", params={"conda": "zlib"}), 403)
    for path in ("/api/v1/package/", "/api/v1/channel/"):
        refused(anonymous.get(path), 403)
    service.submit("default", "slow", "zlib")
    with service.context.database.write() as connection:
        connection.exec_driver_sql("UPDATE build SET owner = 'machine-7', status = 'BUILDING'")
    assert "machine-7" not in anonymous.get("/celery").text + anonymous.get("/system/").text
    with service.context.database.write() as connection:
        connection.exec_driver_sql("UPDATE build SET owner = NULL, status = 'QUEUED'")
    assert not [line for line in anonymous.get("/metrics").text.splitlines() if not line.split()[1].isdigit()]


def test_s3_a_binding_on_one_environment_is_none_on_its_namespace(service: Service) -> None:
    service.build("escal", "env1", "zlib")
    with service.client("one") as client:
        refused(client.delete("/api/v1/namespace/escal/"), 403)
        refused(client.put("/api/v1/namespace/escal/metadata", json={}), 403)
        refused(client.get("/api/v1/environment/escal/env2/"), 404)
        assert client.delete("/api/v1/environment/escal/env1/").status_code == 200


def test_s3_names_are_no_patterns(service: Service) -> None:
    for namespace in ("a.b", "axb", "x+y^z"):
        service.build(namespace, "e", "zlib")
    with service.client("dot") as client:
        assert names(client) == {"a.b/e", "x+y^z/e"}
        assert client.get("/api/v1/environment/x+y%5Ez/e/").status_code == 200
        refused(client.get("/api/v1/environment/axb/e/"), 404)


def test_s4_underscores_and_capitals_are_themselves_in_lists(service: Service) -> None:
    for namespace in ("my_ns", "myXns", "MY_NS", "team_1", "teams1", "TEAM_1"):
        service.build(namespace, "e", "zlib")
    with service.client("low") as client:
        assert names(client) == {"my_ns/e", "team_1/e"}
        assert {row["name"] for row in data(client.get("/api/v1/namespace/"))} == {"my_ns", "team_1"}


def test_s5_a_build_of_another_environment_does_not_become_active(service: Service) -> None:
    service.build("mine", "same", "zlib")
    other = service.build("theirs", "same", "zlib")
    with service.client("both") as client:
        before = data(client.get("/api/v1/environment/mine/same/"))["current_build_id"]
        refused(client.put("/api/v1/environment/mine/same/", json={"build_id": other}), 400)
        assert data(client.get("/api/v1/environment/mine/same/"))["current_build_id"] == before


def test_s6_knowing_the_key_of_a_blob_is_not_enough(
    service: Service, admin: httpx.Client, anonymous: httpx.Client
) -> None:
    build = service.build("private", "e", "zlib")
    for kind in ("lockfile", "yaml", "logs"):
        key = admin.get(f"/api/v1/build/{build}/{kind}/").headers["location"]
        assert admin.get(key).status_code == 200
        assert anonymous.get(key).status_code == 404
        assert anonymous.head(key).status_code == 404


def test_s7_nothing_leads_out_or_runs_as_script(admin: httpx.Client, anonymous: httpx.Client) -> None:
    for wanted in ("https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)"):
        answer = anonymous.get("/login/", params={"token": "admin", "next": wanted})
        assert answer.headers["location"] == "/"
        assert anonymous.post("/logout/", params={"next": wanted}).headers["location"] == "/"
    script = "<script>alert(1)</script>"
    form = {"namespace": "default", "specification": f"name: {script}\ndependencies: ['{script}']"}
    for answer in (admin.post("/create/", data=form), admin.post("/create/check/", data=form)):
        assert script not in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]


def test_s8_no_other_origin_reads_with_somebodys_cookies(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/api/v1/", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    sent = anonymous.post("/logout/", headers={"Origin": "https://evil.example"})
    assert sent.status_code == 403


def test_s9_readers_of_dynamic_images_trigger_no_builds(service: Service) -> None:
    with service.context.database.read() as connection:
        before = sum(builds.count_by_status(connection).values())
    with service.client("reader") as client:
        assert client.get("/v2/conda-store-dynamic/python/numpy/manifests/latest").status_code == 403
    with service.context.database.read() as connection:
        assert sum(builds.count_by_status(connection).values()) == before


def test_s10_kept_environments_of_two_servers_do_not_collide(tmp_path: Path) -> None:
    row = {"id": 7, "environment_id": 1, "status": "COMPLETED", "scheduled_on": "2026-11-21T03:27:27"}
    build = Build.read(row | {"specification": {"sha256": "ab"}})
    first, second = (KeptEnvironments(tmp_path, f"https://{name}.example").prefix(build) for name in ("a", "b"))
    assert first != second


def test_s11_tokens_outlive_the_process_and_serve_every_replica(tmp_path: Path) -> None:
    tokens = {"admin": TOKENS["admin"]}
    with Service(tmp_path, tokens=tokens) as first, first.client("admin") as client:
        token = data(client.post("/api/v1/token/"))["token"]
        with Service(tmp_path, tokens=tokens) as replica, replica.client(token) as other:
            assert data(other.get("/api/v1/permission/"))["authenticated"] is True
    with Service(tmp_path, tokens=tokens) as again, again.client(token) as client:
        assert data(client.get("/api/v1/permission/"))["authenticated"] is True


def test_s12_a_login_makes_nobody_admin() -> None:
    for rules in (AccessRules(), ServerOptions().access):
        somebody = Actor("ada", "ada", rules.of_user("ada", ("staff",)), is_authenticated=True)
        assert not somebody.may(Permission.SETTING_READ, Target())
        assert not somebody.may(Permission.ENVIRONMENT_CREATE, Target("default", "e"))
        assert not somebody.may(Permission.NAMESPACE_DELETE, Target("ada"))
        assert somebody.may(Permission.ENVIRONMENT_CREATE, Target("ada", "e"))
