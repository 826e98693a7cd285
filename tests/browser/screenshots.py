"""`make screenshots`: every page, light and dark, wide and narrow, into docs/images; and a page that shows all."""

from __future__ import annotations

import argparse
import base64
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
from playwright.sync_api import Browser, BrowserContext, Page

from conda_store.auth.providers.base import AuthenticationToken
from conda_store.db import leases, logs
from conda_store.domain.build import Phase, Progress
from conda_store.services.logins import log_in
from tests.browser.chromium import launched
from tests.browser.seeded import LONG_NAME, seed
from tests.http.service import Service

DOCS = Path(__file__).parents[2] / "docs"
IMAGES = DOCS / "images"
GALLERY = DOCS / "reference" / "every-page.md"
SCHEMES = ("light", "dark")
SIZES = {"wide": {"width": 1120, "height": 760}, "narrow": {"width": 390, "height": 760}}
# pixels of a page, from its top, that a picture shows at most
_HIGHEST = 1400
# pictures in a page are there, also those that are loaded when one comes near them
_LOADED = (
    """() => Promise.all([...document.images].map(image => { image.loading = 'eager'; return image.decode(); }))"""
)
CONFLICT = "name: plots\nchannels:\n  - conda-forge\ndependencies:\n  - clash-numpy=2.4\n  - clash-pandas=1.5\n"
BROKEN = "name: geo\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.13\n  - gdal >=3.1 <\n  - 5\n"
SOLVED = "name: science\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.13\n  - numpy=2.5\n  - polars=1.35\n"


def pages(ids: dict[str, int]) -> dict[str, str]:
    """Path by name: what an admin can look at without doing anything."""
    return {
        "home": "/",
        "search": "/?search=numpy",
        "nothing-found": "/?search=no-such-thing",
        "environment": "/environment/analytics/science/",
        "long-name": f"/environment/research/{LONG_NAME}/",
        "difference": f"/environment/analytics/science/difference/?before=1&after={ids['science']}",
        "requests": "/environment/analytics/science/requests/",
        "build": f"/build/{ids['science']}/",
        "build-failed": f"/build/{ids['failed']}/",
        "building": f"/build/{ids['waiting']}/",
        "create": "/create/",
        "edit": f"/create/?namespace=analytics&build={ids['science']}",
        "share": "/environment/analytics/science/share/",
        "namespaces": "/namespace/",
        "namespace": "/namespace/analytics/",
        "audit": "/audit/?namespace=analytics",
        "explain": "/explain/?user=ada&permission=environment%3A%3Adelete&namespace=analytics&environment=science",
        "settings": "/setting/analytics/",
        "user": "/user/",
        "tokens": "/token/?user=ada",
        "credentials": "/credential/",
        "system": "/system/",
        "design": "/design/",
        "documentation": "/documentation/",
        "document": "/documentation/how-to/pages.md",
        "routes": "/docs",
        "delete": "/environment/analytics/science/delete/",
        "end-tokens": "/token/revoke/?user=ada",
        "logout": "/logout/",
        "not-found": "/nothing/",
    }


def refused_create(page: Page) -> None:
    page.goto("/create/")
    page.locator("#specification").fill(BROKEN)
    page.get_by_role("button", name="Submit").click()
    page.locator("#refused").wait_for()


def suggestions(page: Page) -> None:
    page.goto("/create/")
    page.locator("#specification").fill(CONFLICT)
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("These changes have been tried").wait_for()


def preview(page: Page) -> None:
    page.goto("/create/?namespace=analytics")
    page.locator("#specification").fill(SOLVED)
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("heading", name="Preview: ").wait_for()


def typing(page: Page) -> None:
    page.goto("/create/")
    page.locator("#specification").fill(BROKEN)
    page.locator(".gutter .wrong").wait_for()


def token(page: Page) -> None:
    page.goto("/user/")
    make_token(page, "workstation", "")


def link(page: Page) -> None:
    page.goto("/environment/analytics/science/share/")
    page.get_by_role("button", name="Make a link").click()
    page.get_by_text("Copy the link now").wait_for()


def ended(page: Page) -> None:
    page.goto("/environment/analytics/science/")
    page.get_by_text("Change the description").click()
    page.get_by_label("Description").fill("Words that took a while to find")
    page.context.clear_cookies()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Your login has ended").wait_for()


# what can be looked at after something was done, as an admin; the last one logs out
STEPS: dict[str, Callable[[Page], None]] = {
    "create-refused": refused_create,
    "create-suggestions": suggestions,
    "create-preview": preview,
    "create-typing": typing,
    "token": token,
    "link": link,
    "login-ended": ended,
}
# what nobody, a viewer and a person with a login of their own see
ANONYMOUS = {"login": "/login/", "home-anonymous": "/"}
VIEWER = {"not-allowed": "/audit/", "environment-viewer": "/environment/default/web/"}
PERSON = ("device", "consent")
NAMES = (*pages(dict.fromkeys(("science", "failed", "waiting"), 0)), *STEPS, *ANONYMOUS, *VIEWER, *PERSON)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=IMAGES, help="directory for the pictures")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    options.into.mkdir(parents=True, exist_ok=True)
    for old in options.into.glob("*.webp"):
        old.unlink()
    with tempfile.TemporaryDirectory() as directory, Service(Path(directory)) as service:
        ids = seed(service)
        with launched() as browser:
            building(service, ids["waiting"])
            for scheme in SCHEMES:
                for width, size in SIZES.items():
                    context = browser.new_context(
                        base_url=service.url, viewport=size, color_scheme=scheme, permissions=["clipboard-write"]
                    )  # type: ignore[call-overload]
                    for name, page in shown(service, browser, context, ids):
                        keep(page, options.into / f"{name}-{scheme}-{width}.webp")
                    context.close()
    if options.into == IMAGES:
        GALLERY.write_text(gallery())


def shown(
    service: Service, browser: Browser, context: BrowserContext, ids: dict[str, int]
) -> Iterator[tuple[str, Page]]:
    """Each page, by its name, as it is to be looked at."""
    page = context.new_page()
    for name, path in ANONYMOUS.items():
        page.goto(path)
        yield name, page
    page.goto("/login/?token=viewer")
    for name, path in VIEWER.items():
        page.goto(path)
        yield name, page
    context.clear_cookies()
    yield from confirming(service, context, page)
    context.clear_cookies()
    page.goto("/login/?token=admin")
    for name, path in pages(ids).items():
        page.goto(path, wait_until="load")
        yield name, page
    for name, act in STEPS.items():
        act(page)
        yield name, page


def confirming(service: Service, context: BrowserContext, page: Page) -> Iterator[tuple[str, Page]]:
    """A program is logged in: by somebody who has logged in as themselves."""
    session, _ = log_in(service.context, service.options.access, AuthenticationToken("ada"))
    context.add_cookies([{"name": "conda-store-auth", "value": session, "url": service.url}])
    page.goto("/login/device/")
    yield "device", page
    with service.client() as program:
        asked = program.post("/login/device/code/", json={"name": "conda-store on workstation"}).json()
    page.goto(f"/login/device/?user_code={asked['user_code']}")
    yield "consent", page


def keep(page: Page, path: Path) -> None:
    """As WebP, which takes a quarter of a PNG; Playwright itself does not write it."""
    size = page.viewport_size
    assert size is not None
    page.evaluate(_LOADED)
    height = page.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(max(height, 300), _HIGHEST), "scale": 1}
    session = page.context.new_cdp_session(page)
    options = {"format": "webp", "quality": 60, "clip": clip, "captureBeyondViewport": True}
    taken = session.send("Page.captureScreenshot", options)
    session.detach()
    path.write_bytes(base64.b64decode(taken["data"]))


def gallery() -> str:
    """The page of the documentation that shows all of them."""
    lines = [
        "# Every page, in pictures",
        "",
        "Taken by `make screenshots`: light and dark, on a screen and on a phone.",
        "",
    ]
    for name in sorted(NAMES):
        lines += [f"## {name.replace('-', ' ').capitalize()}", ""]
        lines += [
            f"![{name}, {scheme}, {width}](../images/{name}-{scheme}-{width}.webp)"
            for scheme in SCHEMES
            for width in SIZES
        ]
        lines.append("")
    return "\n".join(lines)


def make_token(page: Page, name: str, role: str) -> str:
    """Make a token on the page of the user; the token."""
    if page.get_by_label("Name", exact=True).is_hidden():
        page.locator("summary").get_by_text("Make a token").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Good for").select_option("7")
    page.get_by_label("Gives").select_option(role)
    page.get_by_role("button", name="Make token").click()
    page.get_by_text("Copy it now").wait_for()
    return page.get_by_role("button", name="Copy: token").get_attribute("data-copy") or ""


def building(service: Service, build_id: int) -> None:
    """A build in the midst of its downloads, with somebody else who edits its environment."""
    remaining = ("libarrow", "openblas", "numpy", "pandas", "dask-core", "distributed", "xarray")
    told = Progress(Phase.DOWNLOADING, 31, 58, 152 * 2**20, 241 * 2**20, 24, remaining).dump()
    with service.context.database.write() as connection:
        lease = leases.claim(connection, "worker-1", service.context.deployment.lease)
        assert lease is not None
        assert lease.build_id == build_id
        leases.note(connection, lease, {"progress": told})
        logs.append(connection, build_id, "starting build of conda environment\nsolving: done\n")


if __name__ == "__main__":
    main()
