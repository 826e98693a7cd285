"""Who sees what, in a real browser: admin, editor, viewer and nobody, by tokens of the configuration."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.screenshots import pages
from tests.http.service import Service

pytestmark = pytest.mark.acceptance

Seeded = tuple[Service, dict[str, int]]

# what can be done about an environment and its builds -> who may
ACTIONS = {
    ("link", "Edit"): {"admin", "editor"},
    ("link", "Settings"): {"admin", "editor"},
    ("link", "Delete"): {"admin"},
    ("button", "Activate build"): {"admin", "editor"},
    ("button", "Rebuild build"): {"admin", "editor"},
    ("link", "Delete build"): {"admin"},
}
TOKENS = {"admin": "owner", "editor": "developer", "viewer": "viewer", "nobody": ""}


@pytest.fixture(scope="module")
def kept(seeded: Seeded) -> Seeded:
    """With an environment of the team's that has two builds."""
    service, ids = seeded
    service.make_namespaces("team")
    service.build("team", "kept", "zlib=1.0", "numpy=2.0")
    ids["kept"] = service.build("team", "kept", "zlib=1.1", "numpy=2.4")
    return service, ids


def logged_in(service: Service, new_page: NewPage, role: str) -> Page:
    page = new_page(service.url)
    page.goto(f"/login/?token={TOKENS[role]}" if TOKENS[role] else "/")
    return page


@pytest.mark.parametrize("role", TOKENS)
def test_only_what_may_be_done_is_offered(kept: Seeded, new_page: NewPage, role: str) -> None:
    service, _ = kept
    page = logged_in(service, new_page, role)
    page.goto("/environment/team/kept/")
    if role == "nobody":
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        expect(page.get_by_role("link", name="login", exact=True)).to_be_visible()
        return
    expect(page.get_by_role("heading", name="kept")).to_be_visible()
    offered = {
        (kind, name)
        for kind, name in ACTIONS
        if page.get_by_role(kind, name=re.compile(rf"^{name}( \d+)?$")).count()  # type: ignore[arg-type]
    }
    assert offered == {action for action, roles in ACTIONS.items() if role in roles}
    expect(page.get_by_role("link", name="Create", exact=True)).to_have_count(0 if role == "viewer" else 1)


def test_who_may_not_read_finds_nothing(kept: Seeded, new_page: NewPage) -> None:
    service, ids = kept
    page = logged_in(service, new_page, "nobody")
    for path in ("/?search=numpy", "/system/", "/namespace/", f"/build/{ids['kept']}/", "/environment/team/kept/use/"):
        page.goto(path)
        # that what was asked for is not there may be said
        assert "kept" not in page.locator("main").inner_text().replace("no team/kept, or you may not see it", ""), path
    page.goto("/user/")
    expect(page).to_have_url(re.compile("/login/"))


def test_without_a_script_every_page_says_the_same(kept: Seeded, new_page: NewPage) -> None:
    service, ids = kept
    plain = new_page(service.url, java_script_enabled=False)
    plain.goto("/login/?token=admin")
    empty = []
    for name, path in pages(ids).items():
        answer = plain.goto(path)
        assert answer is not None
        size = len(answer.body())
        if not plain.locator("h1").inner_text() or len(plain.locator("main").inner_text()) < 20 or size > 60_000:
            empty.append((name, size))
    assert empty == []


def test_commands_in_the_list_come_when_they_are_opened(kept: Seeded, new_page: NewPage) -> None:
    service, _ = kept
    page = logged_in(service, new_page, "viewer")
    page.goto("/?search=numpy>%3D2.4")
    card = page.locator(".card").filter(has_text="team / kept")
    expect(card.locator(".found")).to_have_text("numpy 2.4")
    card.get_by_text("Commands").click()
    expect(card.get_by_text("conda-store run team/kept -- python", exact=True)).to_be_visible()
    expect(card.get_by_text(re.compile("micromamba create -n kept"))).to_be_visible()


def test_packages_and_ways_out_are_taken_with_one_click(kept: Seeded, new_page: NewPage) -> None:
    service, _ = kept
    page = logged_in(service, new_page, "editor")
    page.goto("/create/?namespace=team")
    area = page.get_by_label("Specification")
    area.fill("name: chosen\nchannels: [forge]\ndependencies:\n  - clash-a=1.5\n  - clash-b=2.0\n")
    page.get_by_label("Find a package").fill("zlib")
    page.get_by_role("button", name="zlib 1.2").click()
    expect(area).to_have_value(re.compile(r"  - clash-b=2\.0\n  - zlib=1\.2\n"))
    page.get_by_role("button", name="zlib 1.3").click()
    expect(area).to_have_value(re.compile(r"  - clash-b=2\.0\n  - zlib=1\.3\n"))
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("cannot be installed together")).to_be_visible()
    expect(page.get_by_text("These changes have been tried, and solve:")).to_be_visible()
    page.get_by_role("button", name="Use it").first.click()
    expect(page.get_by_role("heading", name=re.compile("^Preview: 3 packages"))).to_be_visible()
    expect(page.get_by_label("Specification")).to_have_value(re.compile(r"  - clash-a=1\.0\n"))
    expect(page.get_by_text("It solves:")).to_be_visible()
    page.get_by_label("Specification").fill("name: chosen\nchannels: [forge]\ndependencies: [zlib]\n")
    expect(page.get_by_text("It solves:")).to_have_count(0)


def test_the_error_in_a_log_is_jumped_to(seeded: Seeded, new_page: NewPage) -> None:
    service, ids = seeded
    page = new_page(service.url)
    page.goto("/login/?token=admin")
    page.goto(f"/build/{ids['failed']}/")
    page.get_by_role("button", name="Jump to the error").click()
    assert "not found in the channels" in page.evaluate("getSelection().toString()")
