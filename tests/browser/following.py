"""Builds that are begun and followed in a browser."""

from __future__ import annotations

import re
from re import Pattern

from playwright.sync_api import Locator, Page, expect

ENDED = re.compile("COMPLETED|FAILED|CANCELED")
_BUILD = re.compile(r"/build/(\d+)/")


def begun(page: Page, button: Locator) -> int:
    """Click what begins a build; its id, when its page is there."""
    before = page.url
    button.click()
    page.wait_for_url(lambda url: url != before and _BUILD.search(url) is not None)
    return build_of(page)


def build_of(page: Page) -> int:
    """The id of the build whose page it is."""
    found = _BUILD.search(page.url)
    assert found is not None, page.url
    return int(found[1])


def ended(page: Page, status: str | Pattern[str] = ENDED) -> None:
    """Wait until the page of a build is the one of a build that has ended.

    While it follows the build it tells the status as soon as it hears of it, and is loaded anew only then: what is done
    in between is lost.
    """
    expect(page.locator("#build-status")).to_have_text(status)
    expect(page.locator("#live")).to_have_count(0)
    page.wait_for_load_state()
    expect(page.locator("#build-status")).to_have_text(status)
