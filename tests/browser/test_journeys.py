"""What people come for, in a real browser, against a real server and worker."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from conda_store.server.web.shown import size
from tests.acceptance.service import Service
from tests.browser.conftest import NewPage
from tests.browser.following import begun, ended
from tools.channel.serve import ChannelServer, Fault

pytestmark = pytest.mark.acceptance


def login_link(service: Service) -> str:
    found = re.search(r"Log in with this link: (http\S+)", service.log_text())
    assert found is not None
    return found[1]


def logged_in(service: Service, new_page: NewPage, **options: object) -> Page:
    page = new_page(str(service.http.base_url), **options)
    page.goto(login_link(service))
    expect(page.get_by_role("link", name="User")).to_be_visible()
    return page


def create(page: Page, text: str) -> int:
    """Hand a specification in, and wait on the page of its build until it has ended; the build's id."""
    page.get_by_role("link", name="Create", exact=True).click()
    page.get_by_label("Specification").fill(text)
    build_id = begun(page, page.get_by_role("button", name="Submit"))
    ended(page)
    return build_id


def test_from_the_login_link_to_a_deleted_environment(real: Service, new_page: NewPage) -> None:
    page = logged_in(real, new_page)
    assert "token" not in page.url
    first = create(page, "name: journey\ndependencies: [one]\n")
    expect(page.locator("#build-status")).to_have_text("COMPLETED")
    expect(page.get_by_role("cell", name="one", exact=True)).to_be_visible()
    expect(page.locator("#log-text")).to_contain_text("Executing transaction:")
    page.get_by_placeholder("Find in the log").fill("executing TRANSACTION")
    page.get_by_placeholder("Find in the log").press("Enter")
    assert page.evaluate("getSelection().toString()") == "Executing transaction"
    second = create(page, "name: journey\ndependencies: [two, three]\n")
    expect(page.get_by_role("row").filter(has_text="one")).to_contain_text("two")

    page.get_by_role("link", name="journey").click()
    expect(page.get_by_role("row").filter(has_text=f"Build {second}")).to_contain_text("active")
    page.get_by_role("link", name="Compare two").click()
    expect(page.get_by_role("heading", name=re.compile("Added"))).to_be_visible()
    expect(page.get_by_role("cell", name="three")).to_be_visible()
    page.go_back()

    page.get_by_role("button", name=f"Activate build {first}", exact=True).click()
    expect(page.get_by_text("This build is now the active one.")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text=f"Build {first}")).to_contain_text("active")
    real.linked_to(first, "journey")

    page.get_by_role("link", name="Delete", exact=True).first.click()
    page.get_by_label("Type journey to confirm").fill("journey")
    page.get_by_role("button", name="Delete environment").click()
    expect(page.get_by_text("The environment has been deleted.")).to_be_visible()
    assert real.http.get("/api/v1/environment/default/journey/").status_code == 404


def test_as_clients_of_earlier_releases_do_it(real: Service, new_page: NewPage) -> None:
    real.completed("name: python-flask-env\ndependencies: [one]\n", namespace="filesystem")
    page = new_page(str(real.http.base_url))
    page.goto("/admin/")
    page.locator("text=Login").click()
    page.get_by_placeholder("Username").fill("username")
    page.get_by_placeholder("Password").fill((real.data / "admin-token").read_text())
    page.get_by_role("button", name="Sign In").click()
    page.get_by_placeholder("Search").fill("python")
    # what is typed has the list loaded anew, and so has Enter
    expect(page).to_have_url(re.compile("search=python"))
    page.locator("#environments").evaluate("list => { list.dataset.before = 'Enter'; }")
    page.get_by_placeholder("Search").press("Enter")
    expect(page.locator("#environments[data-before]")).to_have_count(0)
    page.locator("text=filesystem / python-flask-env").click()
    page.get_by_role("link", name=re.compile("^Build ")).first.click()
    expect(page.locator("#build-status")).to_contain_text("COMPLETED")


def test_a_build_that_fails_says_why_on_its_page(real: Service, new_page: NewPage) -> None:
    page = logged_in(real, new_page)
    create(page, "name: impossible\ndependencies: [no-such-package]\n")
    expect(page.locator("#build-status")).to_have_text("FAILED")
    expect(page.get_by_role("alert")).to_contain_text("no-such-package")
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Specification")).to_have_value(re.compile("no-such-package"))
    page.get_by_label("Specification").fill("name: impossible\ndependencies: [three]\n")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name=re.compile("Preview: 1 package"))).to_be_visible()
    begun(page, page.get_by_role("button", name="Submit"))
    ended(page, "COMPLETED")


def test_by_keyboard_alone(real: Service, new_page: NewPage) -> None:
    page = logged_in(real, new_page)
    older = real.completed("name: keys\ndependencies: [one]\n")

    def reach(role: str, name: str) -> None:
        target = page.get_by_role(role, name=name, exact=True).first  # type: ignore[arg-type]
        expect(target).to_be_visible()
        for _ in range(60):
            page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"{role} {name!r} cannot be reached with the keyboard")

    page.goto("/")
    reach("link", "Create")
    page.keyboard.press("Enter")
    reach("textbox", "Specification")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("name: keys\ndependencies: [three]\n")
    reach("button", "Submit")
    page.keyboard.press("Enter")
    ended(page, "COMPLETED")
    reach("link", "keys")
    page.keyboard.press("Enter")
    reach("button", f"Activate build {older}")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This build is now the active one.")).to_be_visible()


def test_without_javascript(real: Service, new_page: NewPage) -> None:
    page = logged_in(real, new_page, java_script_enabled=False)
    page.get_by_role("link", name="Create", exact=True).click()
    page.get_by_label("Specification").fill("name: plain\ndependencies: [one, 5]\n")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("#refused")).to_contain_text("5")
    page.get_by_label("Upload a file").set_input_files(
        {"name": "environment.yaml", "mimeType": "text/yaml", "buffer": b"name: plain\ndependencies: [one]\n"}
    )
    begun(page, page.get_by_role("button", name="Submit"))
    ended(page, "COMPLETED")  # it is loaded anew by itself until then
    page.goto("/")
    page.get_by_placeholder("Search").fill("plain")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("default / plain")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Copy"))).to_have_count(0)


def test_a_running_build_is_followed_and_cancelled(real: Service, channel: ChannelServer, new_page: NewPage) -> None:
    page = logged_in(real, new_page)
    channel.faults["/noarch/slow-*"] = Fault(hang=True)
    try:
        page.get_by_role("link", name="Create", exact=True).click()
        page.get_by_label("Specification").fill("name: endless\ndependencies: [slow]\n")
        page.get_by_role("button", name="Submit").click()
        expect(page.locator("#build-status")).to_have_text("BUILDING")
        expect(page.locator("[data-phase=downloading]")).to_have_attribute("aria-current", "step")
        expect(page.locator("#log-text")).to_contain_text("starting build of conda environment")
        page.get_by_role("button", name="Cancel").click()
        ended(page, "CANCELED")
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    finally:
        channel.faults.clear()


def test_a_build_that_fails_while_it_installs_leads_with_the_reason(
    real: Service, channel: ChannelServer, new_page: NewPage
) -> None:
    page = logged_in(real, new_page)
    channel.faults["/noarch/damaged-*"] = Fault(corrupt=100)
    try:
        create(page, "name: damaged\ndependencies: [damaged]\n")
        expect(page.locator("#build-status")).to_have_text("FAILED")
        said = page.get_by_role("alert")
        expect(said.get_by_role("heading", name="Why it failed")).to_be_visible()
        expect(said).to_contain_text("package damaged-1.0-0.conda")
        expect(said).to_contain_text("is corrupt")
        expect(said).to_contain_text("The channel, or a proxy before it, delivers another file")
        expect(said.get_by_role("link", name="Change the specification")).to_be_visible()
        # the reason stands above everything else that the page tells
        reason, facts = said.bounding_box(), page.locator("dl.facts").bounding_box()
        assert reason is not None
        assert facts is not None
        assert reason["y"] < facts["y"]
        page.get_by_role("button", name="Jump to the error").click()
        assert page.evaluate("getSelection().toString()").endswith("is corrupt: Invalid checksum")
    finally:
        channel.faults.clear()
    begun(page, said.get_by_role("button", name="Try again"))
    ended(page, "COMPLETED")


def test_own_and_shared_bytes_are_told_apart(real: Service, new_page: NewPage) -> None:
    build_id = real.completed("name: bytes\ndependencies: [two]\n")
    whole, shared = real.row("SELECT size, shared_size FROM build WHERE id = ?", build_id)
    assert 0 < shared < whole, "the files of packages are those of the package cache, the records of the prefix are not"
    page = logged_in(real, new_page)
    for path in ("/environment/default/bytes/", f"/build/{build_id}/"):
        page.goto(path)
        held = page.locator("dl.facts div").filter(has=page.get_by_text("Size", exact=True)).locator("dd")
        expect(held).to_have_text(f"{size(whole)} ({size(whole - shared)} of its own)")


def test_a_preview_tells_the_size_and_what_would_change(
    real: Service, channel: ChannelServer, new_page: NewPage
) -> None:
    real.completed("name: foreseen\ndependencies: [two]\n")
    files = {path.name.split("-")[0]: path.stat().st_size for path in (channel.directory / "noarch").glob("*.conda")}
    page = logged_in(real, new_page)
    page.goto("/environment/default/foreseen/")
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_role("heading", name="Edit default / foreseen")).to_be_visible()
    page.get_by_label("Specification").fill("name: foreseen\ndependencies: [one, three]\n")
    page.get_by_role("button", name="Preview").click()
    after = files["one"] + files["three"]
    expect(page.get_by_role("heading", name=f"Preview: 2 packages, {size(after)} to download")).to_be_visible()
    section = page.locator("#preview-section")
    expect(section).to_contain_text(
        "Compared with the active build: 1 added, 1 removed, 0 changed, 1 as before. "
        f"Downloads: {size(files['one'] + files['two'])} → {size(after)}."
    )
    expect(section.get_by_role("listitem")).to_have_text(["added three 3.0", "removed two 2.0"])
    expect(section.get_by_role("row").filter(has_text="three")).to_contain_text(size(files["three"]))
