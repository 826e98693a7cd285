"""Tokens: made with no more than one has, listed, revoked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from conda_store.auth.opaque import digest, is_token
from conda_store.auth.signed import SignedTokens
from tests.http.service import TOKENS, Service, data, refused

SECRET = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    soon = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    tokens = TOKENS | {"brief": {"role_bindings": {"team/*": ["admin"]}, "expiration": soon, "name": "ci"}}
    rules = {"signed": SignedTokens(SECRET)}
    with Service(tmp_path_factory.mktemp("t"), tokens=tokens, rules=rules) as service:
        service.build("team", "one", "zlib")
        service.build("team", "two", "zlib")
        service.build("elsewhere", "one", "zlib")
        yield service


def make(service: Service, with_token: str, **body: Any) -> str:
    with service.client(with_token) as client:
        answer = client.post("/api/v1/token/", json=body)
        assert list(data(answer)) == ["token"]
        assert answer.headers["cache-control"] == "no-store"
        return str(data(answer)["token"])


def environments(service: Service, token: str) -> set[str]:
    with service.client(token) as client:
        rows = client.get("/api/v1/environment/").json()["data"]
    return {f"{row['namespace']['name']}/{row['name']}" for row in rows}


def permissions(service: Service, token: str) -> Any:
    with service.client(token) as client:
        return data(client.get("/api/v1/permission/"))


def test_without_a_body_it_is_like_the_one_who_asked(service: Service) -> None:
    with service.client("owner") as client:
        token = data(client.post("/api/v1/token/"))["token"]
    assert is_token(token)
    ours, theirs = permissions(service, token), permissions(service, "owner")
    assert ours | {"expiration": None} == theirs | {"expiration": None}


def test_bindings_narrow_it(service: Service) -> None:
    token = make(service, "admin", role_bindings={"team/o*": ["viewer"]}, primary_namespace="team")
    assert environments(service, token) == {"team/one"}
    found = permissions(service, token)
    assert found["authenticated"] is True
    assert found["primary_namespace"] == "team"
    assert found["entity_roles"] == {"default/*": ["viewer"], "team/o*": ["viewer"]}
    with service.client(token) as client:
        assert client.get("/api/v1/environment/team/two/").status_code == 404
        assert client.delete("/api/v1/environment/team/one/").status_code == 403
        assert client.delete("/api/v1/namespace/team/").status_code == 403


@pytest.mark.parametrize("role", ["editor", "developer"])
def test_editor_is_taken_for_developer(service: Service, role: str) -> None:
    token = make(service, "owner", role_bindings={"team/*": [role]})
    assert permissions(service, token)["entity_roles"]["team/*"] == ["developer"]


@pytest.mark.parametrize(
    ("caller", "bindings"),
    [
        ("viewer", {"team/*": ["developer"]}),
        ("viewer", {"*/*": ["viewer"]}),
        ("owner", {"team/*": ["admin"], "elsewhere/one": ["viewer"]}),
        ("owner", {"tea*/*": ["viewer"]}),
    ],
)
def test_nobody_gives_what_they_do_not_have(service: Service, caller: str, bindings: Any) -> None:
    with service.client(caller) as client:
        message = refused(client.post("/api/v1/token/", json={"role_bindings": bindings}), 400)
    assert message == "Requested role_bindings are not a subset of current permissions"


@pytest.mark.parametrize(
    "body",
    [
        {"role_bindings": {"no-slash": ["viewer"]}},
        {"role_bindings": {"a/b/c": ["viewer"]}},
        {"role_bindings": {"team/*": ["boss"]}},
        {"primary_namespace": "a/b"},
        {"expiration": "2001-01-01T00:00:00"},
    ],
)
def test_what_cannot_be_a_token_is_400(service: Service, body: Any) -> None:
    with service.client("admin") as client:
        refused(client.post("/api/v1/token/", json=body), 400)


@pytest.mark.parametrize("body", [{"expiration": "tomorrow"}, {"role_bindings": ["team"]}, [], {"exp": {}}])
def test_what_has_another_shape_is_422(service: Service, body: Any) -> None:
    with service.client("admin") as client:
        assert client.post("/api/v1/token/", json=body).status_code == 422


@pytest.mark.parametrize("key", ["expiration", "exp"])
@pytest.mark.parametrize("zone", [None, UTC])
def test_it_ends_when_it_was_asked_to(service: Service, key: str, zone: Any) -> None:
    end = (datetime.now(UTC) + timedelta(minutes=30)).replace(microsecond=0)
    token = make(service, "admin", **{key: end.replace(tzinfo=zone).isoformat()})
    assert permissions(service, token)["expiration"] == f"{end.replace(tzinfo=None).isoformat()}Z"


def test_after_its_end_it_is_worth_nothing_and_neither_is_a_session(service: Service) -> None:
    token = make(service, "admin")
    with service.client() as browser, service.client(token) as program:
        assert browser.post("/login/", data={"password": token}).status_code == 303
        bearers = (program, browser)
        assert all(data(client.get("/api/v1/permission/"))["authenticated"] for client in bearers)
        past = (datetime.now(UTC) - timedelta(seconds=1)).replace(tzinfo=None).isoformat(" ")
        with service.context.database.write(is_act=False) as connection:
            query = "UPDATE token SET expires_on = ? WHERE digest = ? OR kind = 'session'"
            assert connection.exec_driver_sql(query, (past, digest(token))).rowcount >= 2
        for client in bearers:
            assert data(client.get("/api/v1/permission/"))["authenticated"] is False
            assert client.post("/api/v1/token/").status_code == 401


def test_it_does_not_outlive_the_one_it_was_made_with(service: Service) -> None:
    later = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    with service.client("brief") as client:
        message = refused(client.post("/api/v1/token/", json={"expiration": later}), 400)
    assert message == "Requested expiration of token is greater than current permissions"
    assert permissions(service, make(service, "brief"))["expiration"] == permissions(service, "brief")["expiration"]


def test_the_anonymous_do_not_become_authenticated(anonymous: httpx.Client) -> None:
    assert refused(anonymous.post("/api/v1/token/"), 401) == "request not authenticated"
    assert anonymous.post("/api/v1/token/", json={"role_bindings": {"default/*": ["viewer"]}}).status_code == 401


def test_a_narrowed_token_makes_none_that_can_do_more(service: Service) -> None:
    narrowed = make(service, "admin", role_bindings={"team/one": ["developer"]})
    again = make(service, narrowed)
    assert environments(service, again) == environments(service, narrowed) == {"team/one"}
    with service.client(again) as client:
        for wanted in ({"team/*": ["viewer"]}, {"team/one": ["admin"]}, {"*/*": ["viewer"]}):
            assert client.post("/api/v1/token/", json={"role_bindings": wanted}).status_code == 400


def test_tokens_are_listed_without_the_tokens(service: Service) -> None:
    token = make(service, "stranger", name="my laptop", role_bindings={"elsewhere/*": ["viewer"]})
    with service.client("stranger") as client:
        body = client.get("/api/v1/token/").json()
    (row,) = body["data"]
    assert body["count"] == 1
    assert (row["name"], row["kind"], row["role_bindings"]) == ("my laptop", "token", {"elsewhere/*": ["viewer"]})
    assert row["last_used_on"] is None
    assert token not in str(body)
    permissions(service, token)
    with service.client("stranger") as client:
        (used,) = client.get("/api/v1/token/").json()["data"]
    assert used["last_used_on"] is not None
    permissions(service, token)
    with service.client("stranger") as client:
        (again,) = client.get("/api/v1/token/").json()["data"]
    assert again["last_used_on"] == used["last_used_on"], "written at most once a minute"


def ids(service: Service, token: str, **parameters: Any) -> list[int]:
    with service.client(token) as client:
        rows = client.get("/api/v1/token/", params={"order": "desc", **parameters}).json()["data"]
    return [row["id"] for row in rows]


def test_a_revoked_token_ends_at_once_and_takes_its_own_with_it(service: Service) -> None:
    first = make(service, "developer", role_bindings={"team/*": ["viewer"]})
    second = make(service, first)
    number = max(ids(service, "developer")) - 1
    assert ids(service, first) == [number + 1, number]
    assert ids(service, second) == [number + 1], "a narrowed token sees itself only"
    with service.client(second) as client:
        assert client.delete(f"/api/v1/token/{number}/").status_code == 404
    with service.client("viewer") as client:
        assert client.delete(f"/api/v1/token/{number}/").status_code == 404, "another's"
    with service.client("developer") as client:
        assert client.delete(f"/api/v1/token/{number}/").status_code == 200
        assert client.delete(f"/api/v1/token/{number}/").status_code == 404
    for token in (first, second):
        assert permissions(service, token)["authenticated"] is False


def test_admins_see_and_revoke_everybodys(service: Service) -> None:
    token = make(service, "viewer")
    number = max(ids(service, "viewer"))
    assert number in ids(service, "admin", everybody=True)
    assert number not in ids(service, "admin")
    with service.client("admin") as client:
        assert client.delete(f"/api/v1/token/{number}/").status_code == 200
    assert permissions(service, token)["authenticated"] is False


def test_a_signed_token_is_accepted_and_can_be_narrowed(service: Service) -> None:
    end = int((datetime.now(UTC) + timedelta(hours=1)).timestamp())
    claims = {"primary_namespace": "team", "role_bindings": {"team/*": ["viewer"]}, "exp": end}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    assert environments(service, token) == {"team/one", "team/two"}
    child = make(service, token)
    assert permissions(service, child)["entity_roles"]["team/*"] == ["viewer"]
    narrowed = make(service, token, role_bindings={"team/two": ["viewer"]})
    assert environments(service, narrowed) == {"team/two"}
    forged = jwt.encode(claims, SECRET[::-1], algorithm="HS256")
    assert permissions(service, forged)["authenticated"] is False


def test_tokens_end_with_what_made_them(tmp_path: Path) -> None:
    """A token of the configuration that is taken out takes along those that were made with it; one that gets less
    makes them less."""
    with Service(tmp_path) as service:
        service.build("team", "one", "zlib")
        orphan, shrunk = make(service, "owner"), make(service, "developer")
    tokens = {
        "admin": TOKENS["admin"],
        "developer": {"primary_namespace": "team", "role_bindings": {"team/*": ["viewer"]}},
    }
    with Service(tmp_path, tokens=tokens) as service:
        assert permissions(service, orphan)["authenticated"] is False
        assert permissions(service, shrunk)["entity_roles"]["team/*"] == ["viewer"]


def test_no_token_is_in_the_database(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        token = make(service, "owner", name="one")
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("conda-store.sqlite*"))
    assert b"cst_" not in kept
    assert token[8:].encode() not in kept
