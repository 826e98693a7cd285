"""`conda-store login`: a person allows it on a page, a program gets a token, and nobody else does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest

from conda_store.auth.opaque import is_token
from conda_store.auth.providers.simple import DummyAuthentication
from conda_store.client.authorizing import by_browser, by_device
from conda_store.client.transport import Transport
from conda_store.domain.pkce import challenge_of
from conda_store.errors import ServerError
from tests.http.service import Service, data
from tests.waiting import PATIENCE

VERIFIER = "v" * 43


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("p"), login=DummyAuthentication()) as service:
        yield service


@pytest.fixture
def person(service: Service) -> Iterator[httpx.Client]:
    """A browser in which alice is logged in."""
    with httpx.Client(base_url=service.url, follow_redirects=True, timeout=PATIENCE) as client:
        client.post("/login/", data={"username": "alice", "password": "password"})
        yield client


@pytest.fixture
def transport(service: Service) -> Iterator[Transport]:
    with Transport(service.url, sleep=lambda _seconds: None) as transport:
        yield transport


def fields_of(page: httpx.Response) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
    return {unescape(name): unescape(value) for name, value in found}


def answering(person: httpx.Client, answer: str) -> Callable[[str], None]:
    """Opens the page and clicks."""

    def click(url: str) -> None:
        page = person.get(url)
        assert page.status_code == 200, page.text
        assert "alice" in page.text
        person.post(page.url.path, data=fields_of(page) | {"answer": answer})

    return click


def test_in_the_browser(service: Service, person: httpx.Client, transport: Transport) -> None:
    token = by_browser(transport, answering(person, "allow"), seconds=PATIENCE)
    assert is_token(token)
    with service.client(token) as client:
        found = data(client.get("/api/v1/user/"))
        assert (found["name"], found["authenticated"]) == ("alice", True)
        (row,) = [row for row in client.get("/api/v1/token/").json()["data"] if row["kind"] == "token"]
        assert row["name"].startswith("conda-store on ")
        person.post("/logout/")
        assert data(client.get("/api/v1/user/"))["authenticated"] is True, "it outlives the browser's login"
        assert client.delete(f"/api/v1/token/{found['token_id']}/").status_code == 200
        assert data(client.get("/api/v1/user/"))["authenticated"] is False


def test_a_denied_login_gives_nothing(person: httpx.Client, transport: Transport) -> None:
    with pytest.raises(ServerError, match="denied"):
        by_browser(transport, answering(person, "deny"), seconds=PATIENCE)


def test_nobody_answers(transport: Transport) -> None:
    with pytest.raises(ServerError, match="nobody allowed"):
        by_browser(transport, lambda url: None, seconds=0.01)


def test_an_answer_without_the_state_does_not_count(transport: Transport) -> None:
    def open_page(url: str) -> None:
        target = httpx.URL(url).params["redirect_uri"]
        assert httpx.get(target, params={"code": "forged", "state": "wrong"}, timeout=PATIENCE).status_code == 400
        assert httpx.get(target, params={"code": "forged"}, timeout=PATIENCE).status_code == 400

    with pytest.raises(ServerError, match="nobody allowed"):
        by_browser(transport, open_page, seconds=0.01)


def test_by_a_code_on_another_machine(service: Service, person: httpx.Client, transport: Transport) -> None:
    def show(url: str, code: str, both: str) -> None:
        assert url == f"{service.url}/login/device/"
        assert person.get(url).status_code == 200
        page = person.get("/login/device/", params={"user_code": code.lower().replace("-", " ")})
        assert "conda-store on " in page.text
        done = person.post("/login/device/", data=fields_of(page) | {"answer": "allow"})
        assert "is logged in" in done.text
        again = person.post("/login/device/", data=fields_of(page) | {"answer": "deny"})
        assert again.status_code == 404, "answered once"

    token = by_device(transport, show)
    with service.client(token) as client:
        assert data(client.get("/api/v1/user/"))["name"] == "alice"


def test_a_code_that_is_denied(person: httpx.Client, transport: Transport) -> None:
    def show(url: str, code: str, both: str) -> None:
        page = person.get(both)
        person.post("/login/device/", data=fields_of(page) | {"answer": "deny"})

    with pytest.raises(ServerError, match="denied"):
        by_device(transport, show)


def test_a_code_that_nobody_answers(transport: Transport) -> None:
    clock = iter([0.0, 1.0, 2.0, 10_000.0])
    with pytest.raises(ServerError, match="in time"):
        by_device(transport, lambda *shown: None, clock=lambda: next(clock))


def authorize(person: httpx.Client, redirect_uri: str = "http://127.0.0.1:9/") -> str:
    """A code, as the program would get it."""
    form = {"redirect_uri": redirect_uri, "code_challenge": challenge_of(VERIFIER), "state": "s", "answer": "allow"}
    answer = person.post("/login/authorize/", data=form, follow_redirects=False)
    assert answer.status_code == 303
    return httpx.URL(answer.headers["location"]).params["code"]


def redeem(service: Service, code: str, /, **changes: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER,
        "redirect_uri": "http://127.0.0.1:9/", **changes,
    }  # fmt: skip
    with service.client() as client:
        return client.post("/login/token/", data=form)


def test_a_code_counts_once(service: Service, person: httpx.Client) -> None:
    code = authorize(person)
    answer = redeem(service, code)
    assert answer.json()["token_type"] == "Bearer"
    assert answer.headers["cache-control"] == "no-store"
    assert redeem(service, code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [{"code_verifier": "w" * 43}, {"redirect_uri": "http://127.0.0.1:10/"}, {"code": "x"}, {"grant_type": "password"}],
    ids=str,
)
def test_a_code_of_another_program_is_worth_nothing(
    service: Service, person: httpx.Client, changes: dict[str, str]
) -> None:
    code = authorize(person)
    refused = redeem(service, code, **changes)
    assert refused.status_code == 400
    assert "access_token" not in refused.text
    if set(changes) & {"code_verifier", "redirect_uri"}:
        assert redeem(service, code).status_code == 400, "the code was spent"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/", "http://evil.example:80/", "http://127.0.0.1.evil.example:1/", "http://localhost/",
        "http://127.0.0.1@evil.example:1/", "http://user@127.0.0.1:1/", "javascript:alert(1)", "//evil.example:1/", "",
        "http://127.0.0.1:1/?code=x", "http://127.0.0.1:1/#x", "http://127.0.0.1:99999/", "http://[", "custom:x",
    ],
)  # fmt: skip
def test_codes_are_sent_to_this_machine_only(person: httpx.Client, target: str) -> None:
    query = {"redirect_uri": target, "code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
    assert person.get("/login/authorize/", params=query).status_code == 400
    form = {**query, "answer": "allow", "state": "s"}
    assert person.post("/login/authorize/", data=form, follow_redirects=False).status_code == 400


def test_without_pkce_there_is_no_code(person: httpx.Client) -> None:
    query = {"redirect_uri": "http://127.0.0.1:9/", "state": "s"}
    assert person.get("/login/authorize/", params=query).status_code == 400
    assert person.post("/login/authorize/", data=query | {"answer": "allow"}).status_code == 400


def test_who_is_not_logged_in_has_to_log_in_first(service: Service) -> None:
    with httpx.Client(base_url=service.url, follow_redirects=True, timeout=PATIENCE) as client:
        query = {"redirect_uri": "http://127.0.0.1:9/", "code_challenge": "c" * 43, "code_challenge_method": "S256"}
        page = client.get("/login/authorize/", params=query)
        assert page.url.path == "/login/"
        back = client.post("/login/", data=fields_of(page) | {"username": "bob", "password": "password"})
        assert back.url.path == "/login/authorize/"
        assert "bob" in back.text
        assert "http://127.0.0.1:9;" in back.headers["content-security-policy"]
        client.post("/logout/")
        assert client.post("/login/authorize/", data={"answer": "allow"}).status_code == 401
        assert client.get("/login/device/").url.path == "/login/"


def test_other_sites_cannot_allow_it(person: httpx.Client) -> None:
    form = {"redirect_uri": "http://127.0.0.1:9/", "code_challenge": challenge_of(VERIFIER), "answer": "allow"}
    for path in ("/login/authorize/", "/login/device/"):
        answer = person.post(path, data=form, headers={"Origin": "https://evil.example"}, follow_redirects=False)
        assert answer.status_code == 403


def test_a_token_does_not_make_itself_last(service: Service, person: httpx.Client) -> None:
    narrowed = data(person.post("/api/v1/token/", json={"role_bindings": {"default/*": ["viewer"]}}))["token"]
    form = {"redirect_uri": "http://127.0.0.1:9/", "code_challenge": challenge_of(VERIFIER), "answer": "allow"}
    whole = data(person.post("/api/v1/token/"))["token"]
    for token in (narrowed, whole):
        with service.client(token) as client:
            assert client.post("/login/authorize/", data=form).status_code == 403


def test_codes_cannot_be_tried_without_end(tmp_path: Path) -> None:
    with Service(tmp_path, login=DummyAuthentication()) as service, service.client() as client:
        client.post("/login/", json={"username": "mallory", "password": "password"})
        codes = [f"BBBB-BBB{letter}" for letter in "BCDFGHJKLMNPQRSTVWXZB"]
        statuses = [client.get("/login/device/", params={"user_code": code}).status_code for code in codes]
        assert statuses == [404] * 20 + [429]
        assert [client.post("/login/device/code/").status_code for _ in range(21)] == [200] * 20 + [429]
