"""What was tried to break in with: each of these worked once, or would have."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import httpx
import jwt
import pytest

from conda_store.auth.providers.base import Authentication, AuthenticationToken
from conda_store.auth.providers.simple import DummyAuthentication
from conda_store.auth.signed import SignedTokens
from conda_store.auth.tokens import parsed_bindings
from conda_store.db import namespaces, roles
from conda_store.domain.access import Holder, HolderKind, RoleBinding, Way
from conda_store.domain.roles import Role
from tests.http.service import Service, data, refused
from tests.waiting import PATIENCE, wait_for

FORMER, PRESENT = "former-secret-" * 4, "present-secret-" * 4


def login(client: httpx.Client, address: str, password: str) -> int:
    body = {"username": "", "password": password}
    return client.post("/login/", json=body, headers={"X-Forwarded-For": address}).status_code


def test_a_token_with_many_stars_does_not_stop_the_server(service: Service) -> None:
    """As a regular expression the pattern would be tried in more ways than there are atoms."""
    entity = f"team/{'*a' * 100}*b"
    with service.client("developer") as client:
        token = data(client.post("/api/v1/token/", json={"role_bindings": {entity: ["viewer"]}}))["token"]
    with service.client(token) as client:
        assert client.get(f"/api/v1/environment/team/{'a' * 200}/").status_code == 404


@pytest.mark.parametrize(("proxies", "told"), [(1, "{}, 198.51.100.7"), (2, "{}, 198.51.100.7, 10.0.0.1")])
def test_who_writes_forwarded_for_has_no_more_tries_behind_a_proxy(tmp_path: Path, proxies: int, told: str) -> None:
    with Service(tmp_path, behind_proxy=True, proxies=proxies) as service, service.client() as client:
        statuses = [login(client, told.format(f"203.0.113.{number}"), "wrong") for number in range(65)]
        assert statuses == [403] * 60 + [429] * 5
        assert login(client, told.format("x").replace("100.7", "100.8"), "admin") == 200, "somebody else"


def test_forwarded_for_is_not_believed_without_a_proxy(tmp_path: Path) -> None:
    with Service(tmp_path) as service, service.client() as client:
        assert [login(client, f"203.0.113.{number}", "wrong") for number in range(65)][60:] == [429] * 5


def test_one_machine_has_one_network_of_ipv6(tmp_path: Path) -> None:
    with Service(tmp_path, behind_proxy=True) as service, service.client() as client:
        statuses = [login(client, f"2001:db8:1:2:{number:x}::1", "wrong") for number in range(65)]
        assert statuses[60:] == [429] * 5
        assert login(client, "2001:db8:1:3::1", "wrong") == 403


class Slow(Authentication):
    """Answers when all that were let in at once are there."""

    has_passwords = True
    together = threading.Barrier(20)
    tried: ClassVar[list[str]] = []

    def check_password(self, name: str, password: str) -> AuthenticationToken | None:
        self.tried.append(name)
        self.together.wait(PATIENCE)
        return None


def test_many_tries_at_once_are_counted_before_they_are_made(tmp_path: Path) -> None:
    provider = Slow()
    with Service(tmp_path, login=provider) as service, service.client() as client, ThreadPoolExecutor(30) as pool:

        def attempt(number: int) -> int:
            return client.post("/login/", json={"username": "alice", "password": f"p{number}"}).status_code

        statuses = sorted(pool.map(attempt, range(30)))
    assert statuses == [403] * 20 + [429] * 10
    assert len(provider.tried) == 20


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_on_another_page_logs_nobody_in(service: Service, site: str) -> None:
    with service.client() as client:
        answer = client.get("/login/", params={"token": "owner"}, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 403
        assert "Another site has sent you here with a token" in answer.text
        assert "set-cookie" not in answer.headers
        answer = client.get("/login/", params={"token": "owner"}, headers={"Sec-Fetch-Site": "none"})
        assert answer.status_code == 303, "from a terminal, or the address bar"


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path, heartbeat=0.05, login=DummyAuthentication()) as service:
        yield service


def test_a_stream_ends_with_the_session(watched: Service) -> None:
    build_id = watched.submit("team", "watched", "zlib")
    with watched.client() as client, watched.client() as other:
        client.post("/login/", json={"username": "eve", "password": "password"})
        other.cookies = client.cookies
        with client.stream("GET", f"/api/v1/build/{build_id}/events/") as answer:
            pieces = answer.iter_bytes()
            next(pieces)
            other.post("/logout/")
            rest = b"".join(pieces)  # a stream that went on would never end
        assert b"event: end" not in rest
        assert client.get(f"/api/v1/build/{build_id}/events/").status_code == 404


def test_a_stream_ends_with_the_share(watched: Service) -> None:
    build_id = watched.submit("team", "watched", "zlib")
    path = "/api/v1/share/team/watched/"
    body = {"kind": "namespace", "name": "elsewhere", "role": "viewer"}
    with watched.client("owner") as owner, watched.client("stranger") as stranger, watched.client("admin") as admin:
        admin.post("/api/v1/namespace/elsewhere/")
        assert owner.put(path, json=body).status_code == 200
        with stranger.stream("GET", f"/api/v1/build/{build_id}/events/") as answer:
            pieces = answer.iter_bytes()
            assert b"retry" in next(pieces)
            assert owner.delete(path, params={"kind": "namespace", "holder": "elsewhere"}).status_code == 200
            assert b"event: end" not in b"".join(pieces)


def test_a_new_secret_ends_what_was_made_with_the_former_one(tmp_path: Path) -> None:
    """Whoever stole the secret must not keep what they made with it."""
    end = int((datetime.now(UTC) + timedelta(days=9000)).timestamp())
    claims = {"primary_namespace": "x", "role_bindings": {"*/*": ["admin"]}, "exp": end}
    stolen = jwt.encode(claims, FORMER, algorithm="HS256")
    with Service(tmp_path, rules={"signed": SignedTokens(FORMER)}) as service, service.client(stolen) as client:
        kept = data(client.post("/api/v1/token/"))["token"]
        with service.client(kept) as own:
            assert data(own.get("/api/v1/user/"))["authenticated"] is True
    with Service(tmp_path, rules={"signed": SignedTokens(PRESENT)}) as service:
        for token in (stolen, kept):
            with service.client(token) as client:
                assert data(client.get("/api/v1/user/"))["authenticated"] is False


def test_who_has_not_said_who_they_are_learns_no_names(service: Service) -> None:
    """Anybody may read the namespace `default`, but not whom to guess the password of."""
    service.build("default", "open", "zlib")
    with service.client() as anonymous, service.client("viewer") as known:
        for path in ("access/default/", "access/default/open/", "share/default/", "share/default/open/"):
            assert anonymous.get(f"/api/v1/{path}").status_code == 403, path
            assert known.get(f"/api/v1/{path}").status_code == 200, path
        assert anonymous.get("/api/v1/environment/default/open/").status_code == 200


def test_what_is_kept_is_for_its_owner_alone(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.build("team", "one", "zlib")
        modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.glob("conda-store.sqlite*")}
    assert set(modes.values()) == {0}, json.dumps(modes)


def entries(service: Service, **filters: str) -> list[tuple[str, str, bool, str]]:
    with service.client("admin") as admin:
        rows = data(admin.get("/api/v1/audit/", params=filters))
    return [(row["actor"], row["action"], row["allowed"], row["detail"]) for row in reversed(rows)]


def test_logins_refused_logins_and_their_ends_are_in_the_audit_log(tmp_path: Path) -> None:
    with Service(tmp_path, login=DummyAuthentication()) as service, service.client() as client:
        client.post("/login/", json={"username": "mallory\n", "password": "wrong"})
        client.get("/login/", params={"token": "wrong"})
        client.post("/login/", json={"username": "a/b", "password": "password"})
        client.post("/login/", json={"username": "alice", "password": "password"})
        device = client.post("/login/device/code/", json={"name": "a laptop"}).json()
        client.post("/login/device/", data={"user_code": device["user_code"], "answer": "allow"})
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": device["device_code"]}
        assert client.post("/login/token/", json=grant).status_code == 200
        client.post("/logout/")
        client.post("/login/", json={"username": "", "password": "owner"})
        expected = {
            ("mallory", "log-in", False, "wrong password or token"),
            ("anonymous", "log-in", False, "wrong token"),
            ("a/b", "log-in", False, "the name cannot be that of a user"),
            ("alice", "log-in", True, ""),
            ("alice", "program::allow", True, "a laptop"),
            ("alice", "token::create", True, "token 2, a laptop"),
            ("alice", "log-out", True, ""),
            ("team", "log-in", True, "with a token"),
        }
        # refusals are written when their requests have been answered
        wait_for("all entries", lambda: len(entries(service)) >= len(expected))
        (until,) = {row[3].partition(", a laptop, ")[2] for row in entries(service) if row[1] == "token::create"}
        assert datetime.strptime(until, "until %Y-%m-%d %H:%M").year >= 2026
        assert {(*row[:3], row[3].partition(", until")[0]) for row in entries(service)} == expected


def test_an_admin_ends_all_that_a_user_is_logged_in_with(watched: Service) -> None:
    with watched.client() as eve, watched.client() as bob, watched.client("owner") as owner:
        for client, name in ((eve, "eve"), (bob, "bob")):
            client.post("/login/", json={"username": name, "password": "password"})
        kept = data(eve.post("/api/v1/token/", json={"role_bindings": {"eve/*": ["viewer"]}}))["token"]
        with watched.client(kept) as narrowed, watched.client("admin") as admin:
            path = "/api/v1/user/eve/token/"
            assert owner.delete(path).status_code == 403
            assert data(narrowed.get("/api/v1/user/"))["authenticated"] is True
            assert admin.delete(path).json()["message"] == "2 tokens and logins have ended"
            for client in (eve, narrowed):
                assert data(client.get("/api/v1/user/"))["authenticated"] is False
            assert admin.delete(path).status_code == 404
        assert bob.delete("/api/v1/user/bob/token/").status_code == 200, "one's own"
        assert data(bob.get("/api/v1/user/"))["authenticated"] is False
    assert entries(watched, action="token::revoke") == [
        ("default", "token::revoke", True, "all of user eve"),
        ("bob", "token::revoke", True, "all of user bob"),
    ]


class Anybody(Authentication):
    """People choose their names; of a group are those who say so."""

    has_passwords = True

    def check_password(self, name: str, password: str) -> AuthenticationToken | None:
        _, _, group = name.partition("-of-")
        return AuthenticationToken(name, groups=(group,) if group else ()) if password == "right" else None


TEAMS = {"groups": {"science": parsed_bindings({"science/*": ["developer"], "data-*/*": ["viewer"]})}}


def log_in(client: httpx.Client, name: str) -> httpx.Response:
    return client.post("/login/", json={"username": name, "password": "right"})


def test_who_calls_themselves_like_a_teams_namespace_does_not_get_it(tmp_path: Path) -> None:
    login = Anybody()
    with Service(tmp_path, login=login, rules=TEAMS) as service:
        service.build("science", "secret", "zlib")
        service.build("other", "given", "zlib")
        share = {"kind": "namespace", "name": "science", "role": "viewer"}
        with service.client("admin") as admin:
            assert admin.put("/api/v1/share/other/given/", json=share).status_code == 200
        for name in ("science", "data-1", "default"):
            with service.client() as client:
                assert log_in(client, name).status_code == 200
                roles = data(client.get("/api/v1/permission/"))["entity_roles"]
                assert roles == {"default/*": ["viewer"]}, name
                assert client.get("/api/v1/environment/science/secret/").status_code == 404
                assert client.get("/api/v1/environment/other/given/").status_code == 404
        with service.client() as client:
            assert log_in(client, "alice").status_code == 200
            assert data(client.get("/api/v1/permission/"))["entity_roles"]["alice/*"] == ["developer"]


def test_only_who_is_allowed_may_log_in_and_stay(tmp_path: Path) -> None:
    with Service(tmp_path, login=Anybody()) as service, service.client() as client:
        assert log_in(client, "mallory").status_code == 200
        token = data(client.post("/api/v1/token/"))["token"]
    rules = {
        "allowed_users": frozenset({"alice"}), "allowed_groups": frozenset({"staff"}),
        "admin_users": frozenset({"root"}),
    }  # fmt: skip
    with Service(tmp_path, login=Anybody(), rules=rules) as service:
        with service.client(token) as client:
            assert data(client.get("/api/v1/user/"))["authenticated"] is False
        for name, status in (("alice", 200), ("root", 200), ("bob-of-staff", 200), ("mallory", 403), ("Alice", 403)):
            with service.client() as client:
                assert log_in(client, name).status_code == status, name


@pytest.mark.parametrize("path", ["/login/", "/login/token/", "/login/device/code/"])
@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"username": "\\ud800", "password": "\\ud800", "name": "\\ud800", "code": "\\u0000"}', b"{"],
)
def test_what_is_no_text_crashes_no_login(service: Service, path: str, body: bytes) -> None:
    with service.client() as client:
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_a_refusal_does_not_tell_which_builds_there_are(service: Service) -> None:
    service.build("team", "mine", "zlib")
    hidden, seen = service.build("elsewhere", "hidden", "zlib"), service.build("default", "seen", "zlib")
    with service.client("developer") as client:
        path = "/api/v1/environment/team/mine/"
        told = {
            number: client.put(path, json={"build_id": number}).json()["message"] for number in (hidden, seen, 10**6)
        }
    assert told[hidden] == f"build id={hidden} does not exist"
    assert told[10**6] == f"build id={10**6} does not exist"
    assert "does not match" in told[seen]


# --- too much at once -----------------------------------------------------------------------------------------


def test_a_question_that_is_too_long_crashes_no_list(service: Service) -> None:
    """SQLite takes no expression that is a thousand conditions deep, and no pattern of 50,000 characters."""
    with service.client() as client:
        for path in ("/api/v1/environment/", "/api/v1/build/"):
            assert client.get(path, params=[("packages", f"p{number}") for number in range(1500)]).status_code == 422
            assert client.get(path, params=[("packages", f"p{number}") for number in range(100)]).status_code == 200
            assert client.get(path, params=[("sort_by", "id"), ("sort_by", "name")] * 1500).status_code == 200
        assert client.get("/api/v2/environment/", params={"sort_by": ",".join(["name"] * 5000)}).status_code == 200
        for path in ("/api/v1/environment/", "/"):
            assert client.get(path, params={"search": "a" * 51_000}).status_code == 200


def test_who_has_been_given_very_many_environments_still_has_lists(tmp_path: Path) -> None:
    with Service(tmp_path) as service, service.client("stranger") as client:
        service.build("team", "one", "zlib")
        with service.context.database.write() as connection:
            home, holder = namespaces.get(connection, "team").id, Holder(HolderKind.NAMESPACE, "elsewhere")
            for name in ("one", *(f"e-{number}" for number in range(1500))):
                binding = RoleBinding("team", name, Role.VIEWER)
                roles.add(connection, home, Way.SHARE, holder, binding, "ada", datetime.now(UTC))
        for path in ("/api/v1/environment/", "/api/v2/environment/"):
            assert [row["name"] for row in data(client.get(path))] == ["one"]
        assert [row["name"] for row in client.get("/api/v1/namespace/").json()["data"]] == ["team"]
        for path in ("/api/v1/build/", "/api/v1/usage/", "/"):
            assert client.get(path).status_code == 200


def test_a_token_that_is_narrowed_to_no_role_has_none(service: Service) -> None:
    with service.client("owner") as owner:
        body = {"role_bindings": {"team/*": []}}
        token = data(owner.post("/api/v1/token/", json=body))["token"]
        too_many = {"role_bindings": {f"team/e-{number}": ["viewer"] for number in range(201)}}
        assert "narrowed to 201 bindings" in refused(owner.post("/api/v1/token/", json=too_many), 400)
        too_long = {"role_bindings": {f"team/{'e' * 256}": ["viewer"]}}
        assert refused(owner.post("/api/v1/token/", json=too_long), 400).startswith("invalid entity=")
    with service.client(token) as client:
        assert "team/*" not in data(client.get("/api/v1/permission/"))["entity_roles"]
        assert client.get("/api/v1/namespace/team/").status_code == 404
        assert client.post("/api/v1/token/", json={"role_bindings": {"team/*": ["viewer"]}}).status_code == 400


def test_what_every_list_shows_is_kept_short(service: Service) -> None:
    service.build("team", "one", "zlib")
    text = json.dumps({"name": "one", "channels": ["forge"], "dependencies": ["zlib"], "description": "x" * 10_001})
    with service.client("owner") as owner:
        answers = [
            owner.put("/api/v1/environment/team/one/", json={"description": "x" * 10_001}),
            owner.post("/api/v1/specification/", json={"namespace": "team", "specification": text}),
            owner.put("/api/v1/namespace/team/metadata", json={"a": "x" * 16_384}),
            owner.put("/api/v1/namespace/team/", json={"metadata": {"a": "x" * 16_384}}),
        ]
        assert {answer.status_code for answer in answers} == {400}
        assert owner.put("/api/v1/environment/team/one/", json={"description": "x" * 10_000}).status_code == 200
        assert owner.put("/api/v1/environment/team/one/", json={"description": ""}).status_code == 200


def test_nobody_fills_the_database_with_logins(tmp_path: Path) -> None:
    with Service(tmp_path) as service, service.client() as client:
        login = {"username": "", "password": "viewer"}
        statuses = [client.post("/login/", json=login).status_code for _ in range(150)]
        assert statuses == [200] * 120 + [429] * 30
        assert client.post("/login/", json=login | {"password": "admin"}).status_code == 200


def test_the_audit_log_tells_which_build_was_activated_and_which_roles_were_mapped(tmp_path: Path) -> None:
    with Service(tmp_path) as service, service.client("admin") as admin:
        build_id = service.build("team", "one", "zlib")
        admin.put("/api/v1/environment/team/one/", json={"build_id": build_id})
        admin.put("/api/v1/namespace/team/", json={"role_mappings": {"team/*": ["viewer"], "x/*": ["developer"]}})
        rows = data(admin.get("/api/v1/audit/", params={"namespace": "team"}))
    told = {row["action"]: row["detail"] for row in rows}
    assert told["environment::update"] == f"build {build_id}"
    assert told["namespace-role-mapping::delete"] == "viewer on team/*, developer on x/*"
