"""What goes wrong around people: double clicks, logins that end, the back button, servers that go away; and every form
that a specification comes in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from conda_store.domain.platform import current_platform
from tests.acceptance.harness import write_wheel
from tests.acceptance.service import Service, serving
from tests.browser.conftest import NewPage
from tests.browser.following import begun, build_of, ended
from tests.browser.screenshots import make_token
from tests.browser.test_journeys import logged_in, login_link
from tests.waiting import wait_for
from tools.channel.serve import ChannelServer, Fault

pytestmark = pytest.mark.acceptance

PIXI = """[workspace]
name = "dropped"
channels = ["{}"]
platforms = ["{}"]

[dependencies]
two = "*"
"""
DROP = """([name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name));
  const drop = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.querySelector(".editor").dispatchEvent(drop);
}"""


def log_in_elsewhere(page: Page, service: Service, link: str) -> None:
    """Follow a link that opens another window, and log in there."""
    with page.expect_popup() as opened:
        page.get_by_role("link", name=link).click()
    other = opened.value
    other.wait_for_load_state()
    other.goto(login_link(service))
    expect(other.get_by_role("link", name="User", exact=True)).to_be_visible()
    other.close()


def test_a_file_of_each_form_is_dropped_and_built(real: Service, channel: ChannelServer, new_page: NewPage) -> None:
    first = real.completed("name: dropped\ndependencies: [two]\n")
    build = f"/api/v1/build/{first}"
    files = {
        "environment.yaml": real.http.get(f"{build}/yaml/").text,
        "conda-lock.yml": real.http.get(f"{build}/lockfile/").text,
        "pixi.lock": real.http.get(f"{build}/lockfile/?format=pixi").text,
        "pixi.toml": PIXI.format(channel.url, current_platform()),
        "explicit.txt": real.http.get(f"{build}/lockfile/?format=explicit").text,
    }
    page = logged_in(real, new_page)
    for name, text in files.items():
        page.goto("/create/")
        page.evaluate(DROP, [name, text])
        expect(page.get_by_label("Specification")).to_have_value(text)
        if name not in {"environment.yaml", "pixi.toml"}:
            page.get_by_text("Name and description").click()
            page.get_by_label("Name", exact=True).fill("dropped")
        begun(page, page.get_by_role("button", name="Submit"))
        ended(page, "COMPLETED")
        expect(page.locator("td:nth-child(2)").get_by_text("two", exact=True), name).to_be_visible()
    page.goto("/create/")
    page.evaluate(DROP, ["environment.yaml", "x" * (11 * 1024 * 1024)])
    expect(page.locator("#problems")).to_contain_text("larger than 10 MiB")


def test_a_requirements_file_is_dropped_and_built(tmp_path: Path, real_channel: Path, new_page: NewPage) -> None:
    """It has no name, and no Python to install into: the page asks for the one, and the other comes by itself."""
    write_wheel(tmp_path / "wheels", "alpha")
    with (
        ChannelServer(real_channel) as channel,
        serving(
            tmp_path / "s",
            conda_default_channels=[channel.url],
            pip_index_url="",
            pip_find_links=[str(tmp_path / "wheels")],
        ) as service,
    ):
        page = logged_in(service, new_page)
        page.goto("/create/")
        page.evaluate(DROP, ["requirements.txt", "git+https://example.org/x.git\nalpha >> 1\n"])
        expect(page.get_by_label("Input type")).to_have_value("requirements.txt")
        page.get_by_role("link", name="give it one").click()
        page.get_by_label("Name", exact=True).fill("required")
        expect(page.locator(".gutter .wrong")).to_have_text(["1\n", "2\n"])
        page.evaluate(DROP, ["requirements.txt", "# for the reports\nalpha>=1\n"])
        expect(page.locator("#problems")).to_be_empty()
        build_id = begun(page, page.get_by_role("button", name="Submit"))
        ended(page, "COMPLETED")
        expect(page.get_by_role("row").filter(has_text="alpha")).to_contain_text("asked for")
        python = service.prefix(build_id) / "bin" / "python"
        told = subprocess.run([python, "-c", "import alpha; print(alpha.VALUE)"], capture_output=True, text=True)
        assert told.stdout == "1\n", told.stderr
        # what comes of it is edited as any other
        page.get_by_role("link", name="Edit", exact=True).click()
        expect(page.get_by_label("Specification")).to_have_value(re.compile(r"- pip:\n\s+- alpha>=1"))
        page.evaluate(DROP, ["environment.yaml", "name: other\n"])
        expect(page.get_by_label("Input type")).to_have_value("")


def test_a_button_sends_its_form_once(real: Service, new_page: NewPage) -> None:
    page = logged_in(real, new_page)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto("/create/")
    page.get_by_label("Specification").fill("name: once\ndependencies: [one]\n")
    expect(page.locator("#problems")).to_be_empty()
    held: list[Route] = []
    page.route("**/create/", lambda route: held.append(route))
    with page.expect_request("**/create/"):
        page.get_by_role("button", name="Submit").dblclick()
    wait_for("the form is held", lambda: page.title() and held)
    for route in held:
        route.continue_()
    page.wait_for_url(re.compile(r"/build/\d+/"))
    assert [urlsplit(url).path for url in sent if not url.endswith("/check/")] == ["/create/"]


def test_nothing_that_was_typed_is_lost_when_the_login_ends(real: Service, new_page: NewPage) -> None:
    real.completed("name: kept\ndependencies: [one]\n")
    page = logged_in(real, new_page)
    page.goto("/create/")
    text = "name: kept\ndependencies: [one, three]\n"
    page.get_by_label("Specification").fill(text)
    page.context.clear_cookies()
    page.get_by_role("button", name="Submit").click()
    log_in_elsewhere(page, real, "Log in in another window")
    expect(page.get_by_label("Specification")).to_have_value(text)
    begun(page, page.get_by_role("button", name="Submit"))
    ended(page, "COMPLETED")

    page.goto("/environment/default/kept/")
    page.get_by_text("Describe it").click()
    page.get_by_label("Description").fill("Words that took a while")
    page.context.clear_cookies()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Your login has ended")).to_be_visible()
    log_in_elsewhere(page, real, "Log in in another window")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("The description has been changed.")).to_be_visible()
    expect(page.locator(".lead")).to_have_text("Words that took a while")


def test_the_back_button_leads_to_what_was_there(real: Service, new_page: NewPage) -> None:
    build_id = real.completed("name: back\ndependencies: [one]\n")
    page = logged_in(real, new_page)
    page.goto("/environment/default/back/")
    page.get_by_text("Describe it").click()
    page.get_by_label("Description").fill("Said once")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".lead")).to_have_text("Said once")
    page.go_back()
    expect(page.locator(".lead"), "the page tells the truth, not what it was").to_have_text("Said once")
    page.goto(f"/build/{build_id}/")
    again = begun(page, page.get_by_role("button", name="Rebuild"))
    ended(page, "COMPLETED")
    page.go_back()
    expect(page.get_by_role("heading", name=re.compile(rf"^Build {build_id}\b"))).to_be_visible()
    assert build_of(page) == build_id
    # a page that was come back to can be used again
    assert begun(page, page.get_by_role("button", name="Rebuild")) > again > build_id


def test_what_is_typed_is_there_when_one_comes_back(real: Service, new_page: NewPage) -> None:
    page = logged_in(real, new_page)
    page.goto("/create/")
    text = "name: draft\ndependencies: [one]\n"
    page.get_by_label("Specification").fill(text)
    page.get_by_role("link", name="Namespaces").click()
    expect(page.get_by_role("heading", name="Namespaces")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Specification")).to_have_value(text)
    expect(page.locator(".gutter span")).to_have_count(3)
    # the answer to a form is come back to and loaded again without being sent again
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name=re.compile("^Preview: "))).to_be_visible()
    page.get_by_role("link", name="Namespaces").click()
    expect(page.get_by_role("heading", name="Namespaces")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Specification")).to_have_value(text)
    page.reload()
    expect(page.get_by_label("Specification")).to_have_value(text)
    # who begins anew begins anew
    page.get_by_role("link", name="Create", exact=True).click()
    expect(page.get_by_label("Specification")).to_have_value(re.compile("my-environment"))


def test_a_token_that_was_made_is_not_made_again_by_loading_the_page(real: Service, new_page: NewPage) -> None:
    page = logged_in(real, new_page)
    page.goto("/user/")
    make_token(page, "made once", "viewer")
    page.reload()
    expect(page.get_by_role("row").filter(has_text="made once")).to_have_count(1)
    expect(page.get_by_text("Copy it now")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/user/$"))


def test_a_live_log_goes_on_when_the_server_comes_back(
    real: Service, channel: ChannelServer, new_page: NewPage
) -> None:
    page = logged_in(real, new_page)
    channel.faults["/noarch/slow-*"] = Fault(hang=True)
    try:
        build_id = real.submit("name: restarted\ndependencies: [slow]\n")
        page.goto(f"/build/{build_id}/")
        expect(page.locator("#build-status")).to_have_text("BUILDING")
        # somebody leaves and comes back: the page shows where it is
        page.goto("/")
        page.go_back()
        expect(page.locator("[data-phase=downloading]")).to_have_attribute("aria-current", "step")
        real.kill()
        expect(page.locator("#progress-text")).to_contain_text("The server does not answer")
    finally:
        channel.faults.clear()
    real.start()
    ended(page, "COMPLETED")
    expect(page.locator("#log-text")).to_contain_text("build completed")


def test_two_tabs_see_the_same_build(real: Service, channel: ChannelServer, new_page: NewPage) -> None:
    page = logged_in(real, new_page)
    channel.faults["/noarch/slower-*"] = Fault(hang=True)
    try:
        build_id = real.submit("name: tabs\ndependencies: [slower]\n")
        other = page.context.new_page()
        for tab in (page, other):
            tab.goto(f"/build/{build_id}/")
            expect(tab.locator("#build-status")).to_have_text("BUILDING")
        page.get_by_role("button", name="Cancel").click()
        for tab in (page, other):
            ended(tab, "CANCELED")
    finally:
        channel.faults.clear()


def test_a_file_that_is_too_large_is_told_without_a_script(real: Service, new_page: NewPage) -> None:
    page = logged_in(real, new_page, java_script_enabled=False)
    page.goto("/create/")
    page.get_by_label("Upload a file").set_input_files(
        {"name": "environment.yaml", "mimeType": "text/yaml", "buffer": b"#" * (13 * 1024 * 1024)}
    )
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("what was sent is larger than 12.0 MiB")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Submit")).to_be_visible()
