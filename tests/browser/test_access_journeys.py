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
from tests.browser.screenshots import make_token
from tools.channel.serve import ChannelServer

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("browser")]

PASSWORDS = {"grace": "a-long-password", "ada": "another-password"}
CONFIGURATION = """
from conda_store.auth.providers.simple import PasswordFileAuthentication

c.CondaStoreServer.authentication_class = PasswordFileAuthentication
c.PasswordFileAuthentication.password_file = "{}"
c.RBACAuthorizationBackend.admin_users = {{"grace"}}
"""


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, channel: ChannelServer) -> Iterator[Service]:
    """A service where grace is admin and ada is anybody."""
    directory: Path = tmp_path_factory.mktemp("p")
    passwords = directory / "passwords"
    passwords.write_text("".join(f"{make_entry(name, password)}\n" for name, password in PASSWORDS.items()))
    configuration = directory / "config.py"
    configuration.write_text(CONFIGURATION.format(passwords))
    with serving(directory / "s", f"--config={configuration}", conda_default_channels=[channel.url]) as service:
        service.completed("name: science\ndependencies: [one]\n", namespace="research")
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
    build_id = people.completed("name: both\ndependencies: [one]\n", namespace="ada")
    grace, ada = logged_in(people, new_page, "grace"), logged_in(people, new_page, "ada")
    grace.goto(f"/create/?build={build_id}")
    expect(grace.locator("#newer")).to_be_empty()
    ada.goto(f"/create/?build={build_id}")
    expect(ada.locator("#newer")).to_contain_text("grace has this environment open for editing, too.")
    expect(grace.locator("#newer")).to_contain_text("ada has this environment open", timeout=15_000)
