"""The longest values that are legal, in a browser."""

from __future__ import annotations

import pytest

from tests.browser.conftest import NewPage
from tests.http.longest import paths
from tests.http.service import Service

pytestmark = pytest.mark.acceptance

OUTSIDE = """[...document.querySelectorAll("button, .button, input, select, textarea")]
    .filter((item) => item.offsetParent && item.getBoundingClientRect().right > innerWidth)
    .map((item) => item.outerHTML.slice(0, 200))"""


def test_the_longest_values_are_no_wider_than_a_phone(crowded: Service, new_page: NewPage) -> None:
    """What cannot be read without scrolling scrolls in a frame of its own; what can be done is in reach."""
    page = new_page(crowded.url, viewport={"width": 360, "height": 740})
    page.goto("/login/?token=admin")
    wide = []
    for path in paths(crowded):
        if path.endswith("/use/"):
            continue  # a part of other pages
        page.goto(path)
        width = page.evaluate("document.documentElement.scrollWidth")
        outside = page.evaluate(OUTSIDE)
        if width > 360 or outside:
            wide.append((path[:40], path[-20:], width, outside[:3]))
    assert wide == []
