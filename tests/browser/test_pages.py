"""Every page in a browser: accessible, usable at a phone's width, and what scripts add to them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from conda_store.db import logs
from tests.browser.conftest import NewPage
from tests.browser.screenshots import BROKEN, CONFLICT, VIEWER, building, confirming, ended, make_token, pages
from tests.http.service import Service
from tests.waiting import wait_for

pytestmark = pytest.mark.acceptance

NOON = datetime(2026, 6, 1, 12)
Seeded = tuple[Service, dict[str, int]]
# until so many frames have been drawn of an element that did not scroll
AT_REST = """element => new Promise((done) => {
  let place = -1;
  let still = 0;
  const look = () => {
    still = element.scrollTop === place ? still + 1 : 0;
    place = element.scrollTop;
    if (still > 20) done();
    else requestAnimationFrame(look);
  };
  look();
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_keeps_anybody_out(seeded: Seeded, new_page: NewPage, scheme: str) -> None:
    service, ids = seeded
    axe = Axe()
    found: dict[str, Any] = {}
    page = new_page(service.url, color_scheme=scheme)

    def look(name: str) -> None:
        result = axe.run(page).response
        broken = [(item["id"], [node["html"][:200] for node in item["nodes"]]) for item in result["violations"]]
        if broken:
            found[name] = broken

    for path in ("/", "/login/", "/environment/analytics/science/", "/audit/", "/user/token/"):
        page.goto(path)
        look(f"anonymous {path}")
    page.goto("/login/?token=viewer")
    for name, path in VIEWER.items():
        page.goto(path)
        look(name)
    page.context.clear_cookies()
    for name, shown in confirming(service, page.context, page):
        look(name)
        assert shown is page
    page.goto("/login/?token=admin")
    for name, path in pages(ids).items():
        page.goto(path, wait_until="load")
        look(name)
    page.goto("/docs")
    look("routes")
    page.goto("/create/")
    page.get_by_label("Specification").fill(BROKEN)
    page.get_by_role("button", name="Submit").click()
    look("create refused")
    page.get_by_label("Specification").fill(CONFLICT)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("These changes have been tried")).to_be_visible()
    look("suggestions")
    page.get_by_role("button", name="Use it").first.click()
    expect(page.get_by_role("heading", name=re.compile("^Preview: "))).to_be_visible()
    look("preview")
    page.goto("/user/")
    make_token(page, "axe", "viewer")
    look("token made")
    page.goto("/environment/analytics/science/share/")
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_text("Copy the link now")).to_be_visible()
    look("link made")
    page.goto("/namespace/analytics/")
    page.get_by_text("Set a credential").click()
    page.get_by_label("Host").fill("no host/")
    page.get_by_label("Password or token").fill("x")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("is no host")
    look("credential refused")
    crash = service.context.packages.search
    service.context.packages.search = None  # type: ignore[assignment, method-assign]
    page.goto("/create/packages/?package=numpy")
    service.context.packages.search = crash  # type: ignore[method-assign]
    expect(page.get_by_role("heading", name="Something broke")).to_be_visible()
    look("crash")
    ended(page)
    look("login ended")
    assert found == {}


def test_nothing_is_wider_than_a_phone(seeded: Seeded, new_page: NewPage) -> None:
    service, ids = seeded
    page = new_page(service.url, viewport={"width": 360, "height": 740})
    page.goto("/login/?token=admin")
    wide = []
    for name, path in pages(ids).items():
        page.goto(path)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 360:
            wide.append((name, width))
    assert wide == []


def test_what_can_be_done_is_in_reach_on_a_phone(seeded: Seeded, new_page: NewPage) -> None:
    """Every button, and every link that looks like one, is within the width of the screen without scrolling."""
    service, ids = seeded
    page = new_page(service.url, viewport={"width": 360, "height": 740})
    page.goto("/login/?token=admin")
    outside = []
    for name, path in pages(ids).items():
        page.goto(path)
        for button in page.locator("button, .button").all():
            box = button.bounding_box()
            if box is not None and box["x"] + box["width"] > 360:
                outside.append((name, button.inner_text()))
    assert outside == []


def test_the_list_follows_what_is_typed(seeded: Seeded, new_page: NewPage) -> None:
    service, _ = seeded
    page = new_page(service.url)
    page.goto("/login/?token=admin")
    page.get_by_placeholder("Search").press_sequentially("polars")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".card")).to_contain_text("analytics / science")
    expect(page).to_have_url(re.compile(r"search=polars"))
    page.locator(".card").get_by_role("link").first.click()
    page.go_back()
    expect(page.get_by_placeholder("Search")).to_have_value("polars")
    expect(page.locator(".card")).to_have_count(1)
    page.get_by_label("Status").select_option("FAILED")
    expect(page.get_by_text("Nothing is found")).to_be_visible()


def test_commands_are_copied(seeded: Seeded, new_page: NewPage) -> None:
    service, _ = seeded
    page = new_page(service.url, permissions=["clipboard-read", "clipboard-write"])
    page.clock.install(time=NOON)
    page.goto("/login/?token=admin&next=/environment/analytics/science/")
    page.clock.pause_at(NOON + timedelta(hours=1))  # what is shown for a moment stays until the time goes on
    button = page.get_by_role("button", name="Copy: run")
    word = button.inner_text()
    button.click()
    expect(button).to_have_text("Copied")
    page.clock.fast_forward(1500)
    expect(button).to_have_text(word)
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "conda-store run analytics/science -- python"
    page.goto("/?search=polars")
    page.get_by_role("link", name="Docker image of analytics/science").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    expect(page).to_have_url(re.compile("search=polars"))
    assert re.fullmatch(r"localhost:8080/analytics/science:\S+", page.evaluate("navigator.clipboard.readText()"))
    plain = new_page(service.url, java_script_enabled=False)
    plain.goto("/login/?token=admin&next=/?search=polars")
    plain.get_by_role("link", name="Docker image of analytics/science").click()
    expect(plain.get_by_text("localhost:8080/analytics/science", exact=True)).to_be_visible()


def test_what_is_wrong_is_told_while_one_types(seeded: Seeded, new_page: NewPage) -> None:
    service, _ = seeded
    page = new_page(service.url)
    page.goto("/login/?token=admin&next=/create/")
    area = page.get_by_label("Specification")
    area.fill(BROKEN)
    link = page.get_by_role("link", name="Line 7")
    expect(link).to_be_visible()
    expect(page.locator(".gutter .wrong")).to_have_text("7\n")
    said = page.locator(".marks div")
    expect(said).to_contain_text("  - 5")
    expect(said).to_contain_text("Input should be a package")
    # the message stands at its line: as high as the number of the line in the margin
    number, message = page.locator(".gutter .wrong").bounding_box(), said.bounding_box()
    assert number is not None
    assert message is not None
    assert abs(number["y"] - message["y"]) < 4
    link.click()
    selected = area.evaluate("field => field.value.slice(field.selectionStart, field.selectionEnd)")
    assert selected == "  - 5"
    area.fill(BROKEN.replace("  - 5\n", "").replace(" <\n", "\n"))
    expect(page.locator("#problems")).to_be_empty()
    page.get_by_label("Upload a file").set_input_files(
        {"name": "a.yaml", "mimeType": "text/yaml", "buffer": b"name: from-a-file\n"}
    )
    expect(area).to_have_value("name: from-a-file\n")


def test_viewers_see_no_buttons(seeded: Seeded, new_page: NewPage) -> None:
    service, ids = seeded
    page = new_page(service.url)
    page.goto("/login/?token=viewer")
    page.goto("/environment/default/web/")
    expect(page.get_by_role("heading", name="web")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Activate|Rebuild|Delete|Cancel"))).to_have_count(0)
    expect(page.get_by_role("link", name=re.compile("^(Create|Edit|Delete|Settings)"))).to_have_count(0)
    page.goto(f"/build/{ids['science']}/")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()


def test_a_live_log_is_followed_while_one_wants_it_and_downloaded(seeded: Seeded, new_page: NewPage) -> None:
    service, ids = seeded
    building(service, ids["waiting"])

    def write(word: str) -> None:
        with service.context.database.write() as connection:
            logs.append(connection, ids["waiting"], "".join(f"{word} {number}\n" for number in range(200)))

    page = new_page(service.url)
    page.goto("/login/?token=admin")
    page.goto(f"/build/{ids['waiting']}/")
    log, follow = page.locator("#log-text"), page.get_by_label("Follow")

    def is_at_end() -> bool:
        return bool(log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight < 2"))

    expect(follow).to_be_checked()
    write("first")
    expect(log).to_contain_text("first 199")
    wait_for("the end is seen", is_at_end)
    # who scrolls up reads on in peace
    log.hover()
    page.mouse.wheel(0, -120)
    expect(follow).not_to_be_checked()
    # and is taken along again at the end; by keyboard, too
    log.press("End")
    expect(follow).to_be_checked()
    log.evaluate(AT_REST)  # a key that comes while it still moves is lost
    log.press("PageUp")
    expect(follow).not_to_be_checked()
    log.evaluate(AT_REST)
    place = log.evaluate("log => log.scrollTop")
    write("second")
    expect(log).to_contain_text("second 199")
    assert log.evaluate("log => log.scrollTop") <= place
    follow.check()
    wait_for("the end is seen", is_at_end)
    write("third")
    expect(log).to_contain_text("third 199")
    wait_for("the end is seen", is_at_end)
    with page.expect_download() as begun:
        page.get_by_role("link", name="Download", exact=True).click()
    assert begun.value.suggested_filename == f"build-{ids['waiting']}.log"
    text = begun.value.path().read_text()
    assert text.startswith("starting build of conda environment")
    assert text.endswith("third 199\n")


def test_a_build_that_waits_tells_how_the_queue_moves(seeded: Seeded, new_page: NewPage) -> None:
    service, _ = seeded
    before, build_id = (service.submit("research", "queue", "zlib") for _ in range(2))
    page = new_page(service.url)
    page.clock.install()
    page.goto("/login/?token=admin")
    page.goto(f"/build/{build_id}/")
    waiting = page.locator("#progress-text")
    expect(waiting).to_contain_text("first.")
    told = waiting.inner_text()
    with service.client("admin") as admin:
        assert admin.put(f"/api/v1/build/{before}/cancel/").status_code == 200
    page.clock.fast_forward(10_000)
    expect(waiting).not_to_have_text(told)
    expect(waiting).to_contain_text("Waiting for a worker.")
