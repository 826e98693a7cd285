"""Pages on who may do what: tokens, sharing, namespaces, credentials, the audit log."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape

import httpx
import pytest

from conda_store.db import audit, credentials, editors, environments, namespaces, roles
from conda_store.domain.access import Holder, HolderKind, RoleBinding, Way
from conda_store.domain.audit import AuditEntry
from conda_store.domain.credential import Credential, CredentialKind
from conda_store.domain.roles import Role
from tests.http.service import Service, data
from tests.http.test_web_pages import MARK, Planted, follow

SECRET = "planted-secret-7151"


@pytest.fixture
def science(service: Service) -> str:
    """The path of an environment of the team."""
    service.make_namespaces("team", "guests")
    service.build("team", "science", "zlib")
    return "/environment/team/science/"


def copied(page: str, label: str) -> str:
    """What the button beside a command copies."""
    found = re.search(rf'data-copy="([^"]*)" aria-label="Copy: {label}"', page)
    assert found, page
    return unescape(found[1])


def test_a_token_is_shown_once_works_narrowed_and_is_revoked(
    service: Service, html: dict[str, httpx.Client], science: str
) -> None:
    client = html["owner"]
    form = {"name": "nightly", "days": "7", "role": "viewer", "namespace": "team", "environment": "science"}
    answer = client.post("/user/token/", data=form)
    assert answer.headers["cache-control"] == "no-store"
    token = copied(answer.text, "token")
    page = client.get("/user/").text
    assert token not in page
    assert "nightly" in page
    assert "team/science" in page
    with service.client(token) as program:
        assert program.get(science, follow_redirects=False).status_code == 200
        assert program.get(f"{science}delete/").status_code == 403
        assert program.get("/api/v1/token/").status_code == 200
    assert "just now" in client.get("/user/").text.split("nightly")[1].split("</tr>")[0]
    number = re.search(r"/user/token/(\d+)/revoke/", client.get("/user/").text.split("nightly")[1])
    assert number is not None
    assert "It has been revoked." in follow(client.post(number[0]), client)
    with service.client(token) as program:
        assert program.get(science).status_code == 404


def test_who_makes_a_token_that_cannot_be_is_told_why(html: dict[str, httpx.Client]) -> None:
    client = html["viewer"]
    answer = client.post("/user/token/", data={"name": "kept name", "role": "admin", "namespace": "team"})
    assert (answer.status_code, "not a subset" in answer.text, 'value="kept name"' in answer.text) == (400, True, True)
    answer = client.post("/user/token/", data={"namespace": "team"})
    assert (answer.status_code, "Choose a role" in answer.text, "cst_" in answer.text) == (400, True, False)
    answer = client.post("/user/token/", data={"role": "viewer", "namespace": "a/b"})
    assert (answer.status_code, "invalid entity" in answer.text) == (400, True)


def test_permissions_say_where_they_come_from(html: dict[str, httpx.Client]) -> None:
    rows = re.findall(r"<tr><td><code>(.*?)</code></td><td>(.*?)</td><td class=\"small\">(.*?)</td>",
                      html["viewer"].get("/user/").text)  # fmt: skip
    assert ("team/*", "viewer") in {row[:2] for row in rows}
    assert all(source for _, _, source in rows)


def test_an_environment_is_shared_and_taken_back(html: dict[str, httpx.Client], science: str) -> None:
    client = html["owner"]
    form = {"kind": "namespace", "holder": "guests", "role": "viewer"}
    page = follow(client.post(f"{science}share/", data=form), client)
    assert "The role has been given." in page
    assert "namespace guests" in page
    assert "share, by" in page
    assert "Take it from namespace guests" in page
    assert "Take it from" not in html["viewer"].get(f"{science}share/").text
    assert 'id="share"' not in html["developer"].get(f"{science}share/").text
    page = follow(client.post(f"{science}share/remove/", data=form), client)
    assert "namespace guests" not in page
    answer = client.post(f"{science}share/", data=form | {"holder": "nowhere"})
    assert (answer.status_code, "nowhere" in answer.text, "not found" in answer.text) == (400, True, True)
    answer = client.post(f"{science}share/", data=form | {"kind": "planet"})
    assert (answer.status_code, "nobody can be given a role" in answer.text) == (400, True)
    assert html["developer"].post(f"{science}share/", data=form).status_code == 403


def test_a_link_opens_the_environment_until_it_is_revoked(
    service: Service, html: dict[str, httpx.Client], science: str
) -> None:
    client = html["owner"]
    link = copied(client.post(f"{science}share/link/", data={"days": "1"}).text, "link")
    page = client.get(f"{science}share/").text
    assert link not in page
    assert "/share/?link=csl_" in link
    with service.client() as stranger:
        stranger.headers["Accept"] = "text/html"
        path = f"/share/?{link.partition('?')[2]}"
        assert "science" in follow(stranger.get(path), stranger)
        number = re.search(r"share/link/(\d+)/revoke/", page)
        assert number is not None
        assert number[0] in client.get("/namespace/team/").text
        assert client.post(f"{science}{number[0]}").status_code == 303
        assert number[0] not in client.get("/namespace/team/").text
        assert stranger.get(science).status_code == 404


def test_a_namespace_shows_what_it_uses_and_its_rules(
    service: Service, html: dict[str, httpx.Client], science: str
) -> None:
    with service.client("admin") as admin:
        values = {"quota_environments": 40, "conda_forbidden_packages": ["left-pad"]}
        assert admin.put("/api/v1/setting/team/", json=values).status_code == 200
    page = html["viewer"].get("/namespace/team/").text
    assert re.search(r'<progress max="40" value="\d+" aria-label="Environments used">', page)
    assert "left-pad" in page
    assert "Credentials of channels" not in page
    assert "Share the whole namespace" not in page
    page = html["owner"].get("/namespace/team/").text
    assert 'href="/setting/team/"' in page
    assert 'href="/namespace/team/delete/"' in page
    with service.client("admin") as admin:
        admin.put("/api/v1/setting/team/", json={"quota_environments": None, "conda_forbidden_packages": []})


def test_a_namespace_is_shared_and_described(service: Service, html: dict[str, httpx.Client], science: str) -> None:
    client = html["owner"]
    form = {"kind": "group", "holder": "physics", "role": "developer"}
    assert "group physics" in follow(client.post("/namespace/team/share/", data=form), client)
    assert "group physics" not in follow(client.post("/namespace/team/share/remove/", data=form), client)
    follow(client.post("/namespace/team/metadata/", data={"metadata": '{"room": "4.20"}'}), client)
    assert data(client.get("/api/v1/namespace/team/"))["metadata_"] == {"room": "4.20"}
    answer = client.post("/namespace/team/metadata/", data={"metadata": "[room"})
    assert (answer.status_code, "[room" in answer.text) == (400, True)
    assert "4.20" in html["viewer"].get("/namespace/team/").text
    assert html["viewer"].post("/namespace/team/metadata/", data={"metadata": "{}"}).status_code == 403
    follow(client.post("/namespace/team/metadata/", data={"metadata": ""}), client)


def test_a_credential_is_set_removed_and_never_shown(html: dict[str, httpx.Client], science: str) -> None:
    client = html["owner"]
    form = {"host": "packages.example.org", "kind": "basic", "username": "ada", "secret": SECRET}
    page = follow(client.post("/namespace/team/credential/", data=form), client)
    assert "packages.example.org" in page
    assert SECRET not in page
    assert "packages.example.org" in html["developer"].get("/namespace/team/").text
    assert "credential/remove/" not in html["developer"].get("/namespace/team/").text
    answer = client.post("/namespace/team/credential/", data=form | {"host": "https://x/", "kind": "bearer"})
    assert (answer.status_code, SECRET in answer.text, "is no host" in answer.text) == (400, False, True)
    page = follow(client.post("/namespace/team/credential/remove/", data={"host": "packages.example.org"}), client)
    assert "packages.example.org</code>" not in page


def test_the_audit_log_is_filtered_paged_and_exported(
    service: Service, html: dict[str, httpx.Client], science: str
) -> None:
    assert html["viewer"].get(f"{science}delete/").status_code == 403
    client = html["admin"]
    page = client.get("/audit/", params={"namespace": "team", "environment": "science", "refused": "true"}).text
    assert "delete an environment" in page.split("<tbody>")[1]
    assert set(re.findall(r'<span class="status (\w+)">', page)) == {"failed"}
    assert client.get("/audit/", params={"since": "2999-01-01"}).text.count("<tbody>") == 0
    assert client.get("/audit/", params={"since": "yesterday"}).status_code == 400
    export = re.search(r'href="([^"]*/api/v1/audit/export/[^"]*)"', page)
    assert export is not None
    lines = client.get(unescape(export[1])).text.splitlines()
    assert lines
    assert all('"environment": "science"' in line and '"allowed": false' in line for line in lines)
    assert "Audit" not in html["owner"].get("/").text
    assert html["owner"].get("/audit/").status_code == 403
    since = client.get("/audit/", params={"since": "2026-01-01"}).text
    export = re.search(r'href="([^"]*/api/v1/audit/export/[^"]*)"', since)
    assert export is not None
    assert client.get(unescape(export[1])).status_code == 200


def test_those_who_change_an_environment_see_who_did_what_to_it(
    service: Service, html: dict[str, httpx.Client], science: str
) -> None:
    service.build("team", "other", "zlib")
    assert html["owner"].post(f"{science}description/", data={"description": "Words"}).status_code == 303
    assert html["viewer"].get(f"{science}delete/").status_code == 403
    page = html["developer"].get(f"{science}requests/").text
    row = page.split("<tbody>")[1].split("</tr>")[0]
    assert "environment::update" in row, "the newest is first"
    assert "team/other" not in page
    assert "delete an environment" not in page, "what was refused is for admins of everything"
    assert "127.0.0.1" not in page
    assert f'href="{science}requests/"' in html["developer"].get(science).text
    assert f'href="{science}requests/"' not in html["viewer"].get(science).text


def test_a_decision_is_explained(html: dict[str, httpx.Client], science: str) -> None:
    asked = {"permission": "environment::delete", "namespace": "team", "environment": "science"}
    page = html["viewer"].get("/explain/", params=asked).text
    assert "may not delete an environment: <code>environment::delete</code> on team/science" in page
    assert "These roles do not permit it" in page
    page = html["owner"].get("/explain/", params=asked | {"user": "ada"}).text
    assert "ada may not" in page
    assert html["viewer"].get("/explain/", params=asked | {"user": "ada"}).status_code == 403
    assert html["viewer"].get("/explain/", params={"permission": "fly"}).status_code == 400


def test_nothing_that_users_write_becomes_markup(service: Service, html: dict[str, httpx.Client], science: str) -> None:
    """In the names of tokens, of those who get shares, hosts, metadata, and what the audit log says."""
    client = html["admin"]
    share = {"kind": "user", "holder": MARK, "role": "viewer"}
    pages = [
        client.post("/user/token/", data={"name": MARK, "role": "viewer", "namespace": MARK}),
        client.post("/user/token/", data={"name": MARK, "days": MARK}),
        client.post(f"{science}share/", data=share | {"kind": MARK, "role": MARK}),
        client.post("/namespace/team/share/", data=share | {"role": MARK}),
        client.post("/namespace/team/credential/", data={"host": MARK, "kind": MARK, "username": MARK, "secret": "s"}),
        client.post("/namespace/team/metadata/", data={"metadata": MARK}),
    ]
    assert client.post(f"{science}share/", data=share).status_code == 303
    assert client.post("/namespace/team/share/", data=share).status_code == 303
    assert client.post("/namespace/team/metadata/", data={"metadata": '{"a": "<img src=x>"}'}).status_code == 303
    client.put("/api/v1/setting/team/", json={"conda_default_channels": [MARK]})
    with service.context.database.write() as connection:
        row = environments.find(connection, "team", "science")
        assert row is not None
        editors.note(connection, row.id, MARK, MARK, datetime.now(UTC))
        group, everything = Holder(HolderKind.GROUP, MARK), RoleBinding("team", "*", Role.VIEWER)
        team = namespaces.get(connection, "team").id
        roles.add(connection, team, Way.SHARE, group, everything, MARK, datetime.now(UTC))
        mapped = RoleBinding(MARK, "*", Role("<img src=x>", frozenset()))
        roles.add(connection, team, Way.MAPPING, Holder(HolderKind.NAMESPACE, "team"), mapped, MARK, datetime.now(UTC))
        host = Credential("*.example", CredentialKind.BASIC, "s", MARK)
        for name in (None, "team"):
            credentials.put(connection, name, host, b"sealed", MARK)
        audit.add(connection, [AuditEntry(MARK, MARK[:60], "team", "science", True, MARK, MARK, MARK)])
    current = service.build("team", "science", "zlib")
    pages += [client.get("/create/", params={"build": current, "namespace": "team"})]
    pages += [client.get("/create/newer/", params={"build": current, "newest_seen": current})]
    assert all("open for editing" in page.text for page in pages[-2:])
    paths = ["/user/", f"{science}share/", "/namespace/team/", "/audit/", f"/namespace/{MARK}/"]
    paths += ["/token/", "/credential/", f"{science}requests/", f"/token/?user={MARK}", f"/token/revoke/?user={MARK}"]
    paths += [f"/audit/?{name}={MARK}" for name in ("actor", "action", "namespace", "environment", "since")]
    paths += [f"/explain/?permission=environment::read&{name}={MARK}" for name in ("user", "namespace", "environment")]
    paths += [f"/explain/?permission={MARK}"]
    pages += [client.get(path) for path in paths]
    marked = 0
    for page in pages:
        assert page.status_code in {200, 400, 404}, (page.url, page.status_code)
        assert not Planted(page.text).found, page.url
        marked += "&lt;img" in page.text
    assert marked >= 15, "the marks did get into the pages"
    client.put("/api/v1/setting/team/", json={"conda_default_channels": ["forge"]})
    client.post("/namespace/team/metadata/", data={"metadata": "{}"})
