"""Giving and taking access, in a real browser, against a real server and worker, by people with passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from conda_store.auth.passwords import make_entry
from tests.acceptance.service import Service, serving
from tests.browser.conftest import NewPage
from tests.browser.following import begun, ended
from tests.browser.screenshots import make_token
from tests.browser.test_journeys import create
from tools.channel.serve import ChannelServer

pytestmark = pytest.mark.acceptance

PASSWORDS = {
    "grace": "a-long-password",
    "ada": "another-password",
    "edith": "password-of-edith",
    "vera": "password-of-vera",
}
CONFIGURATION = """
from conda_store.auth.providers.simple import PasswordFileAuthentication

c.CondaStoreServer.authentication_class = PasswordFileAuthentication
c.PasswordFileAuthentication.password_file = "{}"
c.RBACAuthorizationBackend.admin_users = {{"grace"}}
"""


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, channel: ChannelServer) -> Iterator[Service]:
    """A service where grace is admin, edith develops in `shared`, vera looks at it, and ada is anybody."""
    directory: Path = tmp_path_factory.mktemp("p")
    passwords = directory / "passwords"
    passwords.write_text("".join(f"{make_entry(name, password)}\n" for name, password in PASSWORDS.items()))
    configuration = directory / "config.py"
    configuration.write_text(CONFIGURATION.format(passwords))
    with serving(directory / "s", f"--config={configuration}", conda_default_channels=[channel.url]) as service:
        service.completed("name: science\ndependencies: [one]\n", namespace="research")
        service.completed("name: kept\ndependencies: [one]\n", namespace="shared")
        for name, role in (("edith", "developer"), ("vera", "viewer")):
            given = {"kind": "user", "name": name, "role": role}
            assert service.http.put("/api/v1/share/shared/", json=given).status_code == 200
        yield service


def logged_in(service: Service, new_page: NewPage, name: str) -> Page:
    page = new_page(str(service.http.base_url))
    page.goto("/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORDS[name])
    page.get_by_role("button", name="Sign In").click()
    expect(page.get_by_role("link", name="User", exact=True)).to_be_visible()
    return page


def test_who_is_given_an_environment_sees_it_and_cannot_delete_it(people: Service, new_page: NewPage) -> None:
    ada = logged_in(people, new_page, "ada")
    ada.goto("/environment/research/science/")
    expect(ada.get_by_role("heading", name="Not found")).to_be_visible()

    grace = logged_in(people, new_page, "grace")
    grace.goto("/environment/research/science/")
    grace.get_by_role("link", name="Share", exact=True).click()
    grace.get_by_label("Name").fill("ada")
    grace.get_by_label("Role").select_option("viewer")
    grace.get_by_role("button", name="Share", exact=True).click()
    expect(grace.get_by_text("The role has been given.")).to_be_visible()
    expect(grace.get_by_role("row").filter(has_text="user ada")).to_contain_text("share, by grace")

    ada.reload()
    expect(ada.get_by_role("heading", name="science")).to_be_visible()
    expect(ada.get_by_role("link", name="Delete")).to_have_count(0)
    ada.goto("/environment/research/science/delete/")
    expect(ada.get_by_role("heading", name="Not allowed")).to_be_visible()
    ada.goto("/user/")
    expect(ada.get_by_role("row").filter(has_text="research/science")).to_contain_text("share, for user ada")

    grace.goto("/explain/?user=ada&permission=environment::delete&namespace=research&environment=science")
    expect(grace.locator("#decision")).to_contain_text("ada may not")
    grace.get_by_role("link", name="Audit").click()
    grace.get_by_label("Who").fill("ada")
    grace.get_by_label("Refused only").check()
    grace.get_by_role("button", name="Show").click()
    expect(grace.get_by_role("row").filter(has_text="delete an environment")).to_contain_text("refused")

    grace.goto("/environment/research/science/share/")
    grace.get_by_role("button", name="Take it from user ada").click()
    expect(grace.get_by_text("The role has been taken back.")).to_be_visible()
    ada.goto("/environment/research/science/")
    expect(ada.get_by_role("heading", name="Not found")).to_be_visible()


def test_a_token_from_the_page_works_with_the_command_until_it_is_revoked(people: Service, new_page: NewPage) -> None:
    grace = logged_in(people, new_page, "grace")
    grace.goto("/user/")
    token = make_token(grace, "terminal", "viewer")
    people.environment["CONDA_STORE_AUTH"] = "token"
    people.environment["CONDA_STORE_TOKEN"] = token
    try:
        assert "science" in people.told("list", "environment")
        refused = people.command("env", "delete", "research/science", "--yes")
        assert refused.returncode != 0
        grace.goto("/user/")
        row = grace.get_by_role("row").filter(has_text="terminal")
        expect(row).to_contain_text("viewer on */*")
        expect(row).to_contain_text("just now")
        row.get_by_role("button", name="Revoke").click()
        expect(grace.get_by_text("It has been revoked.")).to_be_visible()
        assert "science" not in people.command("list", "environment").stdout
    finally:
        del people.environment["CONDA_STORE_AUTH"], people.environment["CONDA_STORE_TOKEN"]


def test_a_link_opens_the_environment_in_another_browser(people: Service, new_page: NewPage) -> None:
    grace = logged_in(people, new_page, "grace")
    grace.goto("/environment/research/science/share/")
    grace.get_by_label("Good for").select_option("1")
    grace.get_by_role("button", name="Make a link").click()
    link = grace.get_by_role("button", name="Copy: link").get_attribute("data-copy") or ""
    stranger = new_page(str(people.http.base_url))
    stranger.goto(link)
    expect(stranger.get_by_role("heading", name="science")).to_be_visible()
    expect(stranger).to_have_url(re.compile("/environment/research/science/$"))
    expect(stranger.get_by_role("link", name="Edit")).to_have_count(0)
    grace.goto("/audit/?namespace=research&environment=science")
    expect(grace.get_by_role("row").filter(has_text=re.compile(r"link \d+ until"))).to_contain_text("grace")
    grace.goto("/environment/research/science/share/")
    grace.get_by_role("button", name=re.compile(r"^Revoke link")).click()
    expect(grace.get_by_text("The link has been revoked.")).to_be_visible()
    stranger.reload()
    expect(stranger.get_by_role("heading", name="Not found")).to_be_visible()


def test_two_who_edit_hear_of_each_other_before_they_submit(people: Service, new_page: NewPage) -> None:
    # ada comes first: a namespace that is there already would not become hers
    grace, ada = logged_in(people, new_page, "grace"), logged_in(people, new_page, "ada")
    build_id = people.completed("name: both\ndependencies: [one]\n", namespace="ada")
    grace.goto(f"/create/?build={build_id}")
    expect(grace.locator("#newer")).to_be_empty()
    ada.goto(f"/create/?build={build_id}")
    expect(ada.locator("#newer")).to_contain_text("grace has this environment open for editing, too.")
    expect(grace.locator("#newer")).to_contain_text("ada has this environment open")


def test_an_editor_finds_creates_watches_activates_and_deletes_nothing(people: Service, new_page: NewPage) -> None:
    page = logged_in(people, new_page, "edith")
    page.goto("/")
    page.get_by_placeholder("Search").press_sequentially("kept")
    expect(page).to_have_url(re.compile("search=kept"))
    page.get_by_role("link", name="shared / kept").click()
    page.get_by_role("link", name="Edit", exact=True).click()
    expect(page.get_by_label("Namespace")).to_have_value("shared")
    page.get_by_label("Specification").fill("name: kept\ndependencies: [two]\n")
    newest = begun(page, page.get_by_role("button", name="Submit"))
    ended(page, "COMPLETED")
    page.get_by_role("link", name="kept").click()
    page.get_by_role("button", name=re.compile("^Activate build")).click()
    expect(page.get_by_text("This build is now the active one.")).to_be_visible()
    page.get_by_role("button", name=f"Activate build {newest}", exact=True).click()
    expect(page.get_by_role("row").filter(has_text=f"Build {newest}")).to_contain_text("active")
    people.linked_to(newest, "kept", "shared")
    expect(page.get_by_role("link", name=re.compile("^Delete"))).to_have_count(0)
    page.get_by_role("link", name="Requests", exact=True).click()
    activated = page.get_by_role("row").filter(has_text="edith").filter(has_text="activate, rebuild or describe")
    expect(activated).to_have_count(2)
    expect(page.get_by_role("row").filter(has_text="create or change an environment")).not_to_have_count(0)
    for path in ("/environment/shared/kept/delete/", f"/build/{newest}/delete/", "/audit/", "/token/"):
        page.goto(path)
        expect(page.get_by_role("heading", name="Not allowed"), path).to_be_visible()
    # their own namespace is theirs
    create(page, "name: of-edith\ndependencies: [three]\n")
    expect(page.locator("#build-status")).to_have_text("COMPLETED")
    expect(page.locator(".crumbs")).to_contain_text("edith")


def test_a_viewer_finds_uses_and_is_refused_the_rest(people: Service, new_page: NewPage) -> None:
    page = logged_in(people, new_page, "vera")
    page.goto("/?search=kept")
    page.get_by_role("link", name="shared / kept").click()
    expect(page.get_by_text("conda-store run shared/kept -- python", exact=True)).to_be_visible()
    with page.expect_download() as begun:
        page.get_by_role("link", name="Archive").click()
    assert begun.value.path().read_bytes()[:2] == b"\x1f\x8b", "gzip"
    expect(page.get_by_role("button", name=re.compile("Activate|Rebuild|Cancel"))).to_have_count(0)
    page.get_by_role("link", name=re.compile(r"^Build \d+")).first.click()
    expect(page.locator("#build-status")).to_have_text("COMPLETED")
    expect(page.locator("#log-text")).to_contain_text("build completed")
    before = people.rows("SELECT count(*) FROM build")
    page.goto("/create/?namespace=shared")
    page.get_by_label("Specification").fill("name: kept\ndependencies: [three]\n")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("#refused")).to_contain_text("you may not create environments in 'shared'")
    expect(page.get_by_label("Specification")).to_have_value("name: kept\ndependencies: [three]\n")
    page.goto("/environment/shared/kept/delete/")
    expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()
    assert people.rows("SELECT count(*) FROM build") == before


def test_nobody_finds_nothing_and_comes_back_after_the_login(people: Service, new_page: NewPage) -> None:
    build_id = people.http.get("/api/v1/environment/shared/kept/").json()["data"]["current_build_id"]
    page = new_page(str(people.http.base_url))
    page.goto("/?search=kept")
    expect(page.get_by_text("Nothing is found.")).to_be_visible()
    page.goto(f"/build/{build_id}/")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    page.goto("/create/")
    page.get_by_label("Specification").fill("name: mine\ndependencies: [one]\n")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("#refused")).to_contain_text("you may not create environments")
    page.goto("/environment/shared/kept/")
    page.get_by_role("link", name="login", exact=True).click()
    page.get_by_label("Username").fill("vera")
    page.get_by_label("Password").fill(PASSWORDS["vera"])
    page.get_by_role("button", name="Sign In").click()
    expect(page).to_have_url(re.compile("/environment/shared/kept/$"))
    expect(page.get_by_role("heading", name="kept")).to_be_visible()


def test_an_admin_ends_one_token_and_then_everything_of_a_user(people: Service, new_page: NewPage) -> None:
    ada, grace = logged_in(people, new_page, "ada"), logged_in(people, new_page, "grace")
    ada.goto("/user/")
    token = make_token(ada, "of a lost laptop", "")
    asked = {"Authorization": f"Bearer {token}"}
    grace.get_by_role("link", name="Tokens", exact=True).click()
    grace.get_by_label("Name of a user").fill("ada")
    grace.get_by_role("button", name="Search").click()
    row = grace.get_by_role("row").filter(has_text="of a lost laptop")
    expect(row).to_contain_text("all that they may")
    assert people.http.get("/api/v1/permission/", headers=asked).json()["data"]["authenticated"]
    row.get_by_role("button", name=re.compile("^Revoke")).click()
    expect(grace.get_by_text("It has been revoked.")).to_be_visible()
    expect(row).to_have_count(0)
    expect(grace.get_by_label("Name of a user")).to_have_value("ada")
    assert not people.http.get("/api/v1/permission/", headers=asked).json()["data"]["authenticated"]
    ada.reload()
    expect(ada.get_by_role("heading", name="ada")).to_be_visible()

    grace.get_by_role("link", name="End everything of ada").click()
    grace.get_by_label("Type ada to confirm").fill("ada")
    grace.get_by_role("button", name="End").click()
    expect(grace.get_by_text("All their tokens and logins have been ended.")).to_be_visible()
    ada.reload()
    expect(ada).to_have_url(re.compile("/login/"))


def test_an_admin_sets_and_removes_a_credential_of_all_namespaces(people: Service, new_page: NewPage) -> None:
    grace = logged_in(people, new_page, "grace")
    grace.get_by_role("link", name="Credentials", exact=True).click()
    expect(grace.get_by_text("None. Channels and package indexes are asked as anybody would.")).to_be_visible()
    grace.get_by_text("Set a credential").click()
    grace.get_by_label("Host").fill("packages.example.org")
    grace.get_by_label("User (with a password)").fill("build")
    grace.get_by_label("Password or token").fill("never-shown-again")
    grace.get_by_role("button", name="Set", exact=True).click()
    expect(grace.get_by_text("The credential has been set.")).to_be_visible()
    row = grace.get_by_role("row").filter(has_text="packages.example.org")
    expect(row).to_contain_text("all namespaces")
    expect(row).to_contain_text("by grace")
    assert "never-shown-again" not in grace.content()
    grace.get_by_role("button", name="Remove the credential of packages.example.org").click()
    expect(grace.get_by_text("The credential has been removed.")).to_be_visible()
    expect(row).to_have_count(0)
    grace.goto("/audit/")
    expect(grace.get_by_role("row").filter(has_text="packages.example.org").first).to_contain_text("change settings")
    ada = logged_in(people, new_page, "ada")
    expect(ada.get_by_role("link", name="Credentials")).to_have_count(0)
    ada.goto("/credential/")
    expect(ada.get_by_role("heading", name="Not allowed")).to_be_visible()
