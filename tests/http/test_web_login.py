"""Logging in and out with a browser, and what protects those who are logged in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from conda_store.auth.opaque import is_token
from tests.http.service import Service, data, refused


@contextmanager
def logged_in(service: Service, token: str = "admin") -> Iterator[httpx.Client]:
    with service.client() as client:
        assert client.get("/login/", params={"token": token}).status_code == 303
        yield client


@pytest.fixture
def browser(service: Service) -> Iterator[httpx.Client]:
    with logged_in(service) as client:
        yield client


def test_the_link_logs_in(service: Service) -> None:
    with service.client() as client:
        answer = client.get("/login/", params={"token": "owner"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert is_token(cookie.partition(";")[0].removeprefix("conda-store-auth=")), "a session, not the token"
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/"} <= parts
        assert "secure" not in parts
        assert data(client.get("/api/v1/permission/"))["primary_namespace"] == "team"


def test_behind_tls_the_cookie_is_secure(tmp_path: Path) -> None:
    with Service(tmp_path, behind_proxy=True) as service, service.client() as client:
        answer = client.get("/login/", params={"token": "admin"}, headers={"X-Forwarded-Proto": "https"})
        assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("token", ["wrong", "admin ", "é", "x" * 5000])
def test_a_wrong_token_in_the_link_is_refused_and_not_repeated(anonymous: httpx.Client, token: str) -> None:
    answer = anonymous.get("/login/", params={"token": token})
    assert answer.status_code == 403
    assert "Invalid authentication credentials" in answer.text
    assert "set-cookie" not in answer.headers
    assert "token=" not in answer.text


@pytest.mark.parametrize(
    ("wanted", "target"),
    [
        ("", "/"),
        ("/environment/default/x/?page=2", "/environment/default/x/?page=2"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/%5cevil.example/", "/"),
        ("/\tevil.example", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("evil.example", "/"),
        ("http://[", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
    ],
)
def test_a_login_leads_to_own_paths_only(anonymous: httpx.Client, wanted: str, target: str) -> None:
    answer = anonymous.get("/login/", params={"token": "admin", "next": wanted})
    assert (answer.status_code, answer.headers["location"]) == (303, target)
    form = {"password": "admin", "next": wanted}
    assert anonymous.post("/login/", data=form).headers["location"] == target
    assert anonymous.post("/logout/", params={"next": wanted}).headers["location"] == target


def test_the_whole_address_of_an_own_page_is_an_own_path(service: Service, anonymous: httpx.Client) -> None:
    own = f"http://127.0.0.1:{service.port}/user/"
    answer = anonymous.get("/login/", params={"token": "admin", "next": own})
    assert answer.headers["location"] == "/user/"


def test_below_a_prefix_only_paths_below_it_are_own(tmp_path: Path) -> None:
    with Service(tmp_path, url_prefix="/conda-store") as service, service.client() as client:
        for wanted, target in (("/conda-store/user/", "/conda-store/user/"), ("/conda-store-2/", "/conda-store/")):
            answer = client.get("/login/", params={"token": "admin", "next": wanted})
            assert answer.headers["location"] == target
        page = client.get("/user/")
        assert page.status_code == 200
        assert 'href="/conda-store/namespace/"' in page.text


def test_the_form_logs_in_with_the_token_as_password(service: Service) -> None:
    with service.client() as client:
        page = client.get("/login/").text
        for text in ('placeholder="Username"', 'placeholder="Password"', "Sign In"):
            assert text in page
        wrong = client.post("/login/", data={"username": "x", "password": "nonsense"})
        assert wrong.status_code == 403
        assert "Invalid authentication credentials" in wrong.text
        assert "nonsense" not in wrong.text
        assert client.post("/login/", data={"username": "x", "password": "viewer"}).status_code == 303
        assert data(client.get("/api/v1/permission/"))["primary_namespace"] == "team"


def test_programs_log_in_by_json(service: Service) -> None:
    with service.client() as client:
        assert refused(client.post("/login/", json={"username": "u", "password": "no"}), 403) == (
            "Invalid authentication credentials"
        )
        for body in ([], {"password": 5}, {}):
            assert client.post("/login/", json=body).status_code == 403
        assert client.post("/login/", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
        answer = client.post("/login", json={"username": "u", "password": "owner"}, follow_redirects=True)
        assert data(answer) == {"redirect_url": "/"}
        assert data(client.get("/api/v1/permission/"))["authenticated"] is True


def test_logging_out_takes_the_cookie_away(browser: httpx.Client) -> None:
    assert browser.get("/user/").status_code == 200
    assert browser.get("/logout/").status_code == 200
    assert browser.get("/user/").status_code == 200, "a link alone does not log out"
    assert browser.post("/logout/").status_code == 303
    assert "conda-store-auth" not in browser.cookies
    answer = browser.get("/user/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/login/?next=%2Fuser%2F")


def test_logging_out_ends_the_session_and_not_the_token(service: Service, browser: httpx.Client) -> None:
    copied = browser.cookies["conda-store-auth"]
    with service.client(copied) as other:
        assert data(other.get("/api/v1/permission/"))["authenticated"] is True
        browser.post("/logout/")
        assert data(other.get("/api/v1/permission/"))["authenticated"] is False
    with service.client("admin") as program:
        assert program.post("/logout/").status_code == 303
        assert data(program.get("/api/v1/permission/"))["authenticated"] is True


def test_a_session_ends_with_the_token_that_it_came_from(service: Service) -> None:
    with service.client("owner") as owner:
        token = data(owner.post("/api/v1/token/", json={"role_bindings": {"team/*": ["viewer"]}}))["token"]
        number = owner.get("/api/v1/token/", params={"order": "desc"}).json()["data"][0]["id"]
        with logged_in(service, token) as client:
            assert data(client.get("/api/v1/permission/"))["entity_roles"]["team/*"] == ["viewer"]
            child = data(client.post("/api/v1/token/"))["token"]
            assert owner.delete(f"/api/v1/token/{number}/").status_code == 200
            assert data(client.get("/api/v1/permission/"))["authenticated"] is False
    with service.client(child) as client:
        assert data(client.get("/api/v1/permission/"))["authenticated"] is False


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:8888"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "null"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_what_other_sites_send_is_refused(service: Service, browser: httpx.Client, headers: dict[str, str]) -> None:
    service.make_namespaces("kept")
    form = {"typed": "kept"}
    for answer in (
        browser.post("/namespace/kept/delete/", data=form, headers=headers),
        browser.delete("/api/v1/namespace/kept/", headers=headers),
        browser.post("/login/", data={"password": "viewer"}, headers=headers),
    ):
        assert refused(answer, 403) == "this request was sent by a page of another site"
    assert browser.get("/api/v1/namespace/kept/").status_code == 200


def test_own_pages_and_programs_are_let_through(service: Service, browser: httpx.Client) -> None:
    own = f"http://127.0.0.1:{service.port}"
    for number, headers in enumerate(({}, {"Origin": own}, {"Sec-Fetch-Site": "same-origin", "Origin": own})):
        answer = browser.post("/namespace/", data={"namespace": f"own-{number}"}, headers=headers)
        assert answer.status_code == 303, answer.text
    with service.client("admin") as program:
        answer = program.post("/api/v1/namespace/by-token/", headers=FOREIGN[0])
        assert answer.status_code == 200


def test_origins_that_may_call_the_api_are_let_through(tmp_path: Path) -> None:
    origin = "https://lab.example"
    with Service(tmp_path, cors_allow_origins=(origin,)) as service, logged_in(service) as client:
        headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        assert client.post("/api/v1/namespace/theirs/", headers=headers).status_code == 200
        headers["Origin"] = "https://evil.example"
        assert client.post("/api/v1/namespace/others/", headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/", "/login/", "/nothing/", "/api/v1/", "/static/conda-store.css", "/docs"])
def test_every_answer_tells_browsers_to_be_careful(anonymous: httpx.Client, path: str) -> None:
    headers = anonymous.get(path, headers={"Accept": "text/html"}).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_without_pages_one_can_still_log_in(tmp_path: Path) -> None:
    with Service(tmp_path, enable_ui=False) as service, service.client() as client:
        for path in ("/", "/create/", "/user/", "/admin/", "/ui/"):
            assert client.get(path).status_code == 404, path
        assert client.get("/login/").status_code == 200
        assert client.post("/login/", data={"password": "admin"}).status_code == 303
