"""`make screenshots`: every page, light and dark, wide and narrow; those that are in the documentation into it."""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
from pathlib import Path

import structlog
from playwright.sync_api import Browser

from tests.browser.chromium import launched
from tests.browser.seeded import seed
from tests.http.service import Service

ROOT = Path(__file__).parents[2]
TARGET = ROOT / ".cache" / "screenshots"
IMAGES = ROOT / "docs" / "images"
SHOWN = (
    "home-light-wide",
    "home-dark-wide",
    "home-light-narrow",
    "environment-light-wide",
    "build-failed-light-wide",
    "create-refused-light-wide",
    "create-suggestions-light-wide",
    "difference-light-wide",
    "system-light-wide",
)
WIDE = {"width": 1120, "height": 760}
NARROW = {"width": 390, "height": 760}
CONFLICT = "name: plots\nchannels:\n  - conda-forge\ndependencies:\n  - clash-numpy=2.4\n  - clash-pandas=1.5\n"
BROKEN = "name: geo\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.13\n  - gdal >=3.1 <\n  - 5\n"


def pages(ids: dict[str, int]) -> dict[str, str]:
    """Path by name."""
    return {
        "home": "/",
        "search": "/?search=numpy",
        "environment": "/environment/analytics/science/",
        "difference": f"/environment/analytics/science/difference/?before=1&after={ids['science']}",
        "build": f"/build/{ids['science']}/",
        "build-failed": f"/build/{ids['failed']}/",
        "build-live": f"/build/{ids['waiting']}/",
        "create": "/create/",
        "namespaces": "/namespace/",
        "settings": "/setting/analytics/",
        "user": "/user/",
        "system": "/system/",
        "design": "/design/",
        "documentation": "/documentation/",
        "document": "/documentation/how-to/pages.md",
        "delete": "/environment/analytics/science/delete/",
        "not-found": "/nothing/",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=TARGET, help="directory for all of them")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    options.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, Service(Path(directory)) as service:
        ids = seed(service)
        with launched() as browser:
            for scheme in ("light", "dark"):
                for width, size in (("wide", WIDE), ("narrow", NARROW)):
                    take(browser, service, pages(ids), options.into, scheme, width, size)
    for name in SHOWN:
        shutil.copyfile(options.into / f"{name}.png", IMAGES / f"{name}.png")


def take(
    browser: Browser, service: Service, paths: dict[str, str], into: Path, scheme: str, width: str, size: dict[str, int]
) -> None:
    context = browser.new_context(viewport=size, color_scheme=scheme, permissions=["clipboard-write"])  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{service.url}/login/")
    page.screenshot(path=into / f"login-{scheme}-{width}.png")
    page.goto(f"{service.url}/login/?token=admin")
    for name, path in paths.items():
        page.goto(f"{service.url}{path}", wait_until="load")
        page.screenshot(path=into / f"{name}-{scheme}-{width}.png")
    page.goto(f"{service.url}/create/")
    page.locator("#specification").fill(BROKEN)
    page.get_by_role("button", name="Submit").click()
    page.locator("#problems").wait_for()
    page.screenshot(path=into / f"create-refused-{scheme}-{width}.png")
    page.locator("#specification").fill(CONFLICT)
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("These changes have been tried").wait_for()
    page.screenshot(path=into / f"create-suggestions-{scheme}-{width}.png")
    context.close()


if __name__ == "__main__":
    main()
