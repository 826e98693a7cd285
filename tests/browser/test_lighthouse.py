"""What Lighthouse says of the pages that people see most. Its performance score is measured by `make bench`."""

from __future__ import annotations

import pytest

from tests.browser.lighthouse import DIRECTORY, lacking, report, scores
from tests.conftest import missing
from tests.http.service import Service

pytestmark = pytest.mark.acceptance

LEAST = 95


@pytest.mark.parametrize("name", ["home", "environment", "create"])
def test_pages_are_accessible_and_well_made(seeded: tuple[Service, dict[str, int]], name: str) -> None:
    if not DIRECTORY.exists():
        missing("lighthouse")
    service, _ = seeded
    path = {"home": "/", "environment": "/environment/analytics/science/", "create": "/create/"}[name]
    found = report(f"{service.url}{path}", "admin", ["accessibility", "best-practices"])
    assert found["finalDisplayedUrl"].endswith(path)
    assert {key: score for key, score in scores(found).items() if score < LEAST} == {}, lacking(found)
