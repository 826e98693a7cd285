"""`make screenshots`: every page, light and dark, wide and narrow; those that are in the documentation into it."""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
from pathlib import Path

import structlog
from playwright.sync_api import Browser, Page

from conda_store.db import leases, logs
from conda_store.domain.build import Phase, Progress
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
    "share-light-wide",
    "token-light-wide",
    "namespace-light-wide",
    "audit-light-wide",
    "explain-light-wide",
    "building-light-wide",
)
# what is looked at as a whole
LONG = ("user", "namespace", "system", "share")
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
        "building": f"/build/{ids['waiting']}/",
        "create": "/create/",
        "share": "/environment/analytics/science/share/",
        "namespaces": "/namespace/",
        "namespace": "/namespace/analytics/",
        "audit": "/audit/?namespace=analytics",
        "explain": "/explain/?user=ada&permission=environment%3A%3Adelete&namespace=analytics&environment=science",
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
            building(service, ids["waiting"])
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
        page.screenshot(path=into / f"{name}-{scheme}-{width}.png", full_page=name in LONG)
    page.goto(f"{service.url}/create/")
    page.locator("#specification").fill(BROKEN)
    page.get_by_role("button", name="Submit").click()
    page.locator("#problems").wait_for()
    page.screenshot(path=into / f"create-refused-{scheme}-{width}.png")
    page.locator("#specification").fill(CONFLICT)
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("These changes have been tried").wait_for()
    page.screenshot(path=into / f"create-suggestions-{scheme}-{width}.png")
    page.goto(f"{service.url}/user/")
    make_token(page, "workstation", "")
    page.screenshot(path=into / f"token-{scheme}-{width}.png")
    context.close()


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
