"""Sharing with users, groups and namespaces, links, and who has access: API and command line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from conda_store.auth.opaque import digest, new_token
from conda_store.auth.rules import AccessRules
from conda_store.cli.main import run_command
from conda_store.db import tokens
from conda_store.db.records import AccountRecord
from conda_store.domain.access import Actor, Target, TokenKind
from conda_store.domain.roles import Permission
from conda_store.services.access import with_given_roles
from tests.http.service import Service, data, refused

TOKENS = {
    "admin": {"primary_namespace": "default", "role_bindings": {"*/*": ["admin"]}},
    "owner": {"primary_namespace": "team", "role_bindings": {"team/*": ["admin"]}, "name": "olga"},
    "developer": {"primary_namespace": "team", "role_bindings": {"team/*": ["developer"]}, "name": "dev"},
    "ada": {"primary_namespace": "guests", "role_bindings": {}, "name": "ada"},
}
ONE, ALL = "/api/v1/share/team/one/", "/api/v1/share/team/"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory: Path = tmp_path_factory.mktemp("h")
    with Service(directory, tokens=TOKENS) as service:
        service.make_namespaces("guests")
        service.build("team", "one", "zlib")
        service.build("team", "two", "zlib")
        yield service


@pytest.fixture(autouse=True)
def nothing_shared(admin: httpx.Client) -> None:
    for row in data(admin.get(ALL)):
        path = ONE.replace("one", row["entity"].partition("/")[2]) if not row["entity"].endswith("*") else ALL
        assert admin.delete(path, params={"kind": row["kind"], "holder": row["name"]}).status_code == 200


@pytest.fixture
def owner(service: Service) -> Iterator[httpx.Client]:
    with service.client("owner") as client:
        yield client


def reads(service: Service, token: str | None, name: str = "one") -> bool:
    with service.client(token) as client:
        status = client.get(f"/api/v1/environment/team/{name}/").status_code
    assert status in {200, 404}
    return status == 200


def give(client: httpx.Client, kind: str, name: str, role: str, path: str = ONE) -> httpx.Response:
    return client.put(path, json={"kind": kind, "name": name, "role": role})


def test_one_environment_is_shared_with_a_user(service: Service, owner: httpx.Client) -> None:
    assert not reads(service, "ada")
    assert give(owner, "user", "ada", "viewer").json() == {"status": "ok", "message": None}
    assert reads(service, "ada")
    assert not reads(service, "ada", "two")
    with service.client("ada") as ada:
        assert [row["name"] for row in data(ada.get("/api/v1/environment/"))] == ["one"]
        # seen, since something in it may be read; but not to be read as a whole
        assert [row["name"] for row in data(ada.get("/api/v1/namespace/"))] == ["team"]
        assert refused(ada.get("/api/v1/namespace/team/"), 403)
        assert data(ada.get("/api/v1/environment/team/one/"))["namespace"]["metadata_"] is None
        assert ada.put("/api/v1/environment/team/one/", json={"description": "mine"}).status_code == 403
    (row,) = data(owner.get(ONE))
    assert (row["kind"], row["name"], row["entity"], row["role"], row["given_by"]) == (
        "user",
        "ada",
        "team/one",
        "viewer",
        "olga",
    )
    assert give(owner, "user", "ada", "editor").status_code == 200
    assert [row["role"] for row in data(owner.get(ALL))] == ["developer"]
    with service.client("ada") as ada:
        assert ada.put("/api/v1/environment/team/one/", json={"description": "mine"}).status_code == 200
    gone = owner.delete(ONE, params={"kind": "user", "holder": "ada"})
    assert gone.json() == {"status": "ok", "message": None}
    assert not reads(service, "ada")
    again = owner.delete(ONE, params={"kind": "user", "holder": "ada"})
    assert refused(again, 404) == "team/one is not shared with user ada"


def test_a_namespace_is_shared_with_a_namespace(service: Service, owner: httpx.Client) -> None:
    assert give(owner, "namespace", "guests", "viewer", ALL).status_code == 200
    assert reads(service, "ada")
    assert reads(service, "ada", "two")
    nowhere = give(owner, "namespace", "nowhere", "viewer", ALL)
    assert refused(nowhere, 400) == "Namespace='nowhere' not found"


def test_a_group_holds_a_role(service: Service, owner: httpx.Client) -> None:
    assert give(owner, "group", "/science/physics", "viewer").status_code == 200
    somebody = Actor("eve", "eve", is_authenticated=True, groups=("/science/physics",))
    target = Target("team", "one")
    assert with_given_roles(service.context, somebody).may(Permission.ENVIRONMENT_READ, target)
    stranger = Actor("/science/physics", "/science/physics", is_authenticated=True, groups=("/science",))
    assert not with_given_roles(service.context, stranger).may(Permission.ENVIRONMENT_READ, target)
    # as in a request of somebody who has logged in
    token, now = new_token(), datetime.now(UTC)
    with service.context.database.write() as connection:
        tokens.set_account(connection, AccountRecord("eve", AccessRules().provider, ("/science/physics",), {}), now)
        tokens.create(connection, digest(token), TokenKind.SESSION, "", "user:eve", "eve", now=now, expires_on=None)
    assert reads(service, token)
    found = explained(owner, "environment::read", namespace="team", environment="one", user="eve")
    assert found["granting"][0]["whom"] == "group /science/physics"
    assert owner.delete(ONE, params={"kind": "group", "holder": "/science/physics"}).status_code == 200
    assert not reads(service, token)
    nobody = Actor("eve", "eve", groups=("/science/physics",))
    assert not with_given_roles(service.context, nobody).may(Permission.ENVIRONMENT_READ, target)


def test_only_who_may_change_roles_shares_and_gives_no_more_than_they_hold(
    service: Service, admin: httpx.Client
) -> None:
    with service.client("developer") as developer:
        assert give(developer, "user", "ada", "viewer").status_code == 403
        assert developer.post(f"{ONE}link/").status_code == 403
        assert developer.get(ONE).status_code == 200
    with service.client("ada") as ada:
        assert give(ada, "user", "ada", "admin").status_code == 404
        assert ada.get(ALL).status_code == 404
    # an admin of one environment shares that one, not the namespace
    assert give(admin, "user", "ada", "admin").status_code == 200
    with service.client("ada") as ada:
        assert give(ada, "user", "eve", "admin").status_code == 200
        assert give(ada, "user", "eve", "admin", ALL).status_code == 403
        assert give(ada, "user", "eve", "admin", ONE.replace("one", "two")).status_code == 404


def test_a_narrowed_token_shares_no_more_than_it_permits(service: Service, owner: httpx.Client) -> None:
    token = data(owner.post("/api/v1/token/", json={"role_bindings": {"team/two": ["admin"]}}))["token"]
    with service.client(token) as narrowed:
        assert give(narrowed, "user", "ada", "viewer").status_code == 404
        assert give(narrowed, "user", "ada", "viewer", ONE.replace("one", "two")).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"kind": "user", "name": "ada", "role": "boss"}, 400),
        ({"kind": "user", "name": " ", "role": "viewer"}, 400),
        ({"kind": "user", "name": "a" * 256, "role": "viewer"}, 400),
        ({"kind": "user", "name": "a\nb", "role": "viewer"}, 400),
        ({"kind": "robot", "name": "ada", "role": "viewer"}, 422),
        ({"kind": "user", "role": "viewer"}, 422),
    ],
)
def test_what_cannot_be_shared_is_refused(owner: httpx.Client, body: dict[str, str], status: int) -> None:
    assert owner.put(ONE, json=body).status_code == status


def test_what_does_not_exist_is_not_shared(admin: httpx.Client) -> None:
    assert refused(give(admin, "user", "ada", "viewer", "/api/v1/share/team/none/"), 404)
    assert refused(give(admin, "user", "ada", "viewer", "/api/v1/share/none/"), 404)
    assert refused(admin.post("/api/v1/share/team/none/link/"), 404)
    assert refused(admin.get("/api/v1/share/team/none/link/"), 404)


def test_an_environment_that_is_made_again_is_not_shared(service: Service, admin: httpx.Client) -> None:
    service.build("team", "passing", "zlib")
    path = "/api/v1/share/team/passing/"
    assert give(admin, "user", "ada", "viewer", path).status_code == 200
    link = data(admin.post(f"{path}link/"))["token"]
    assert reads(service, "ada", "passing") and reads(service, link, "passing")
    assert admin.delete("/api/v1/environment/team/passing/").status_code == 200
    service.build("team", "passing", "zlib")
    assert not reads(service, "ada", "passing") and not reads(service, link, "passing")


def new_link(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post(f"{ONE}link/", json=body)
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = data(answer)
    return found


def test_a_link_reads_one_environment_and_nothing_else(service: Service, owner: httpx.Client) -> None:
    link = new_link(owner)
    token = link["token"]
    assert re.fullmatch(r"csl_[0-9A-Za-z]{46}", token)
    assert reads(service, token)
    assert not reads(service, token, "two")
    with service.client(token) as client:
        build = data(client.get("/api/v1/environment/team/one/"))["current_build_id"]
        blob = client.get(f"/api/v1/build/{build}/lockfile/")
        assert blob.status_code == 307
        assert client.get(blob.headers["location"]).status_code == 200
        assert client.get("/v2/team/one/tags/list").status_code == 200
        assert client.get(f"/api/v1/build/{build}/").status_code == 200
        assert client.put(f"/api/v1/build/{build}/").status_code == 403
        assert client.get(ONE).status_code == 403
        assert client.get("/api/v1/namespace/team/").status_code == 403
        assert client.post("/api/v1/token/").status_code == 401
        permissions = data(client.get("/api/v1/permission/"))
        assert permissions["authenticated"] is False
        assert permissions["entity_permissions"]["team/one"] == ["environment::read"]
        assert "filesystem/*" not in permissions["entity_permissions"]
        assert [row["name"] for row in data(client.get("/api/v1/environment/"))] == ["one"]


def test_a_link_opens_the_page_in_a_browser(service: Service, owner: httpx.Client) -> None:
    link = new_link(owner)
    other = new_link(owner)
    with service.client() as browser:
        assert browser.get("/environment/team/one/").status_code == 404
        answer = browser.get(link["url"].replace(service.url.replace("localhost", "127.0.0.1"), ""))
        assert (answer.status_code, answer.headers["location"]) == (303, "/environment/team/one/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Max-Age=60" in cookie
        assert browser.get("/environment/team/one/").status_code == 200
        assert browser.get("/environment/team/two/").status_code == 404
        browser.get("/share/", params={"link": other["token"]})
        assert browser.cookies["conda-store-share"].split(".") == [link["token"], other["token"]]
        # besides what a login gives
        browser.headers["Authorization"] = "Bearer ada"
        assert browser.get("/api/v1/environment/team/one/").status_code == 200
        assert data(browser.get("/api/v1/permission/"))["authenticated"] is True
        for good in data(owner.get(f"{ONE}link/")):
            assert owner.delete(f"{ONE}link/{good['id']}/").status_code == 200
        assert browser.get("/api/v1/environment/team/one/").status_code == 404
        assert browser.get("/share/", params={"link": link["token"]}).status_code == 404


def test_a_link_ends(service: Service, owner: httpx.Client) -> None:
    soon = datetime.now(UTC) + timedelta(days=3)
    link = new_link(owner, expiration=soon.isoformat())
    assert link["expires_on"] == soon.replace(tzinfo=None).isoformat()
    assert reads(service, link["token"])
    for when in (datetime.now(UTC) - timedelta(seconds=1), datetime.now(UTC) + timedelta(days=400)):
        answer = owner.post(f"{ONE}link/", json={"expiration": when.isoformat()})
        assert "a link cannot expire on" in refused(answer, 400)
    listed = data(owner.get(f"{ONE}link/"))
    assert link["id"] in {row["id"] for row in listed}
    assert not any("token" in row for row in listed)
    assert owner.delete(f"{ONE}link/{link['id']}/").status_code == 200
    assert not reads(service, link["token"])
    assert refused(owner.delete(f"{ONE}link/{link['id']}/"), 404) == "share link does not exist"
    assert refused(owner.delete(f"/api/v1/share/team/two/link/{new_link(owner)['id']}/"), 404)


def test_a_link_outlives_the_rights_of_its_maker_until_an_admin_revokes_it(
    service: Service, owner: httpx.Client
) -> None:
    every = "/api/v1/share-link/team/"
    give(owner, "user", "ada", "admin", ALL)
    with service.client("ada") as ada:
        link = new_link(ada)
        assert owner.delete(ALL, params={"kind": "user", "holder": "ada"}).status_code == 200
        assert refused(ada.get(every), 404)
    assert reads(service, link["token"])
    found = {row["id"]: row for row in data(owner.get(every))}
    assert (found[link["id"]]["entity"], found[link["id"]]["given_by"]) == ("team/one", "ada")
    assert owner.delete(f"{ONE}link/{link['id']}/").status_code == 200
    assert not reads(service, link["token"])
    assert link["id"] not in {row["id"] for row in data(owner.get(every))}


def test_what_stands_in_a_link_is_kept_nowhere(service: Service, owner: httpx.Client, tmp_path: Path) -> None:
    token = new_link(owner)["token"]
    with service.context.database.read() as connection:
        dump = "\n".join(connection.connection.iterdump())  # type: ignore[attr-defined]
    assert "share_link" in dump
    assert token not in dump and token[4:] not in dump


def test_who_has_access_and_why(service: Service, owner: httpx.Client) -> None:
    give(owner, "group", "physics", "viewer")
    give(owner, "user", "ada", "developer", ALL)
    link = new_link(owner)
    found = {
        (row["holder"], row["entity"], row["role"], row["source"]): row
        for row in data(owner.get("/api/v1/access/team/one/"))
    }
    assert set(found) >= {
        ("group physics", "team/one", "viewer", "share"),
        ("user ada", "team/*", "developer", "share"),
        (f"whoever has link {link['id']}", "team/one", "link", "share link"),
        ("token olga", "team/*", "admin", "token"),
    }
    # nobody of that name had logged in before the namespace was made, and nobody gets it by taking that name now
    assert not any(holder == "user team" for holder, *_ in found)
    assert found["user ada", "team/*", "developer", "share"]["given_by"] == "olga"
    two = {row["holder"] for row in data(owner.get("/api/v1/access/team/two/"))}
    assert "user ada" in two and "group physics" not in two
    assert {"group physics", "user ada"} <= {row["holder"] for row in data(owner.get("/api/v1/access/team/"))}
    with service.client() as anonymous:
        assert anonymous.get("/api/v1/access/team/one/").status_code == 404


def explained(client: httpx.Client, permission: str, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = data(client.get("/api/v1/permission/explain/", params={"permission": permission, **query}))
    return found


def test_a_decision_explains_itself(service: Service, owner: httpx.Client) -> None:
    give(owner, "group", "physics", "viewer")
    target = {"namespace": "team", "environment": "one"}
    own = explained(owner, "environment::delete", **target)
    assert own["allowed"] is True
    assert own["granting"] == [{"entity": "team/*", "role": "admin", "source": "token", "whom": ""}]
    ada = explained(owner, "environment::read", user="ada", **target)
    assert (ada["allowed"], ada["user"], ada["granting"]) == (False, "ada", [])
    ada = explained(owner, "environment::read", user="ada", group="physics", **target)
    assert ada["explanation"] == (
        "ada may environment::read on team/one: viewer on team/one (share, for group physics)"
    )
    with service.client("ada") as client:
        assert explained(client, "environment::read", **target)["allowed"] is False
        asked = {"permission": "environment::read", "user": "olga", **target}
        assert client.get("/api/v1/permission/explain/", params=asked).status_code == 404
    with service.client("developer") as client:
        assert client.get("/api/v1/permission/explain/", params=asked).status_code == 403
    answer = owner.get("/api/v1/permission/explain/", params={"permission": "environment::fly"})
    assert refused(answer, 400) == "invalid permission=environment::fly"


def test_the_commands_do_the_same(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, value in {"URL": service.url, "AUTH": "token", "TOKEN": "owner"}.items():
        monkeypatch.setenv(f"CONDA_STORE_{name}", value)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def said(*arguments: str) -> str:
        status = run_command(list(arguments))
        captured = capsys.readouterr()
        assert status == 0, captured.err
        return captured.out

    def shown(*arguments: str) -> Any:
        return json.loads(said(*arguments, "--output", "json"))

    assert said("share", "team/one", "--user", "ada", "--role", "viewer") == "team/one: user ada is viewer\n"
    assert [row["name"] for row in shown("share", "team")] == ["ada"]
    assert "ada" in said("share", "team/one")
    assert "user ada" in said("access", "team/one")
    told = said("access", "team/one", "--permission", "environment::read", "--user", "ada")
    assert told.startswith("ada may environment::read on team/one: viewer on team/one")
    assert said("share", "team/one", "--user", "ada", "--remove").endswith("any more\n")
    link = shown("share-link", "team/one", "--days", "2")
    assert reads(service, link["token"])
    assert said("share-link", "team/one").startswith(service.url + "/share/?link=csl_")
    assert link["id"] in {row["id"] for row in shown("share-link", "team/one", "--list")}
    assert link["id"] in {row["id"] for row in shown("share-link", "team", "--list")}
    said("share-link", "team/one", "--revoke", str(link["id"]))
    assert link["id"] not in {row["id"] for row in shown("share-link", "team", "--list")}
    assert not reads(service, link["token"])
    for role in ("viewer", "developer"):
        said("namespace", "role", "grant", "team", "guests", role)
        assert [row["role"] for row in shown("namespace", "role", "list", "team")] == [role]
    said("namespace", "role", "revoke", "team", "guests")
    assert shown("namespace", "role", "list", "team") == []
    for wrong in (("share", "a/b/c"), ("share-link", "team"), ("share", "team/one", "--user", "ada")):
        assert run_command(list(wrong)) in {1, 2}
    capsys.readouterr()
