"""What Lighthouse says of the pages, with 10,000 environments and 100,000 builds behind them.

    python -m benchmarks.pages [--json FILE] [--database FILE]

Prints scores from 0 to 100 and exits 1 where one is below 95. The database is that of `benchmarks.lists`.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

import httpx
import structlog

from benchmarks import lists
from tests.browser.lighthouse import report, scores

LEAST = 95
CATEGORIES = ["performance", "accessibility", "best-practices"]
PAGES = {
    "first page": "/",
    "search for a package": "/?search=popular",
    "environment": "/environment/team-42/env-4242/",
    "build": "/build/100000/",
    "create": "/create/",
    "namespace": "/namespace/team-42/",
    "sharing": "/environment/team-42/env-4242/share/",
    "user": "/user/",
    "audit": "/audit/",
    "system": "/system/",
}


def measured(url: str) -> dict[str, Any]:
    found = report(url, "admin", CATEGORIES)
    audits = found["audits"]
    return scores(found) | {
        "server_ms": round(audits["server-response-time"]["numericValue"], 1),
        "largest_paint_ms": round(audits["largest-contentful-paint"]["numericValue"]),
        "kilobytes": round(audits["total-byte-weight"]["numericValue"] / 1000, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--database", type=Path, default=lists.DATABASE)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    figures: dict[str, Any] = {}
    with lists.served(lists.filled(given.database)) as url:
        for name, path in PAGES.items():
            # templates are read when they are first asked for
            httpx.get(f"{url}{path}", headers=lists.ADMIN, timeout=20).raise_for_status()
            figures[name] = found = measured(f"{url}{path}")
            print(f"{name:22} {found}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(any(found[category] < LEAST for found in figures.values() for category in CATEGORIES))


if __name__ == "__main__":
    sys.exit(main())
