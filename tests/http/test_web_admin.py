"""What admins of everything have pages for: all tokens, and credentials that all builds use."""

from __future__ import annotations

import re

import httpx

from conda_store.auth.providers.base import AuthenticationToken
from conda_store.services.credentials import usable_credentials
from conda_store.services.logins import log_in
from tests.http.service import Service
from tests.http.test_web_pages import MARK, Planted, follow

SECRET = "planted-secret-7152"


def logged_in(service: Service, name: str) -> httpx.Client:
    """Somebody whom a provider vouches for; the caller closes it."""
    token, _ = log_in(service.context, service.options.access, AuthenticationToken(name))
    return service.client(token)


def test_an_admin_sees_all_tokens_and_ends_one_or_all_of_a_user(
    service: Service, html: dict[str, httpx.Client]
) -> None:
    admin = html["admin"]
    with logged_in(service, "ada") as ada, logged_in(service, "bob") as bob:
        for client, name in ((ada, "laptop"), (bob, MARK)):
            assert client.post("/api/v1/token/", json={"name": name}).status_code == 200
        page = admin.get("/token/").text
        assert not Planted(page).found
        assert {"laptop", "ada", "bob"} <= set(re.findall(r">([\w-]+)<", page))
        assert "&lt;img" in page, "the name of bob's token"
        assert html["owner"].get("/token/").status_code == 403
        assert html["owner"].get("/token/", params={"user": "ada"}).status_code == 403
        page = admin.get("/token/", params={"user": "ada"}).text
        assert "2 are valid of ada" in page
        assert "&lt;img" not in page
        number = re.search(r"/token/(\d+)/revoke/", page.split("laptop")[1])
        assert number is not None
        page = follow(admin.post(f"/token/{number[1]}/revoke/", data={"user": "ada"}), admin)
        assert "It has been revoked." in page
        assert "1 is valid of ada" in page
        page = admin.get("/token/revoke/", params={"user": "bob"}).text
        assert "2 tokens and logins are worth nothing then" in page
        refused = admin.post("/token/revoke/", params={"user": "bob"}, data={"typed": "ada"})
        assert refused.status_code == 400
        assert bob.get("/user/").status_code == 200
        page = follow(admin.post("/token/revoke/", params={"user": "bob"}, data={"typed": "bob"}), admin)
        assert "All their tokens and logins have been ended." in page
        assert bob.get("/user/").status_code == 307
        assert ada.get("/user/").status_code == 200
    assert "0 are valid" in admin.get("/token/", params={"user": MARK}).text
    assert not Planted(admin.get("/token/revoke/", params={"user": MARK}).text).found


def test_credentials_of_the_deployment_are_set_and_removed(service: Service, html: dict[str, httpx.Client]) -> None:
    admin = html["admin"]
    form = {"host": "everywhere.example.org", "kind": "basic", "username": "ada", "secret": SECRET}
    page = follow(admin.post("/credential/", data=form), admin)
    assert "everywhere.example.org</code>" in page
    assert SECRET not in page
    assert [item.secret for item in usable_credentials(service.context, "team").entries] == [SECRET]
    wrong = admin.post("/credential/", data=form | {"host": MARK})
    assert (wrong.status_code, SECRET in wrong.text, bool(Planted(wrong.text).found)) == (400, False, False)
    assert html["owner"].get("/credential/").status_code == 403
    assert "/credential/" not in html["owner"].get("/user/").text
    page = follow(admin.post("/credential/remove/", data={"host": "everywhere.example.org"}), admin)
    assert "everywhere.example.org</code>" not in page
    assert usable_credentials(service.context, "team").entries == ()
