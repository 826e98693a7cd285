"""Lighthouse on a page: scores from 0 to 100, and what costs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.browser.chromium import PROGRAM

DIRECTORY = Path(__file__).parents[2] / ".cache" / "lighthouse" / "node_modules" / "lighthouse"


def report(url: str, token: str, categories: Sequence[str]) -> dict[str, Any]:
    """The report on a page that is seen with a token."""
    chromium, node = shutil.which(PROGRAM), shutil.which("node")
    assert chromium, f"{PROGRAM} is missing"
    assert node, "node is missing"
    headers = json.dumps({"Cookie": f"conda-store-auth={token}"})
    command = [
        node, str(DIRECTORY / "cli" / "index.js"), url, "--quiet", "--output=json", "--output-path=stdout",
        f"--only-categories={','.join(categories)}", f"--extra-headers={headers}",
        "--chrome-flags=--headless=new --no-sandbox --disable-gpu", "--no-enable-error-reporting",
    ]  # fmt: skip
    environment = os.environ | {"CHROME_PATH": chromium}
    done = subprocess.run(command, check=False, capture_output=True, timeout=300, env=environment, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def scores(found: dict[str, Any]) -> dict[str, int]:
    return {name: round(100 * (category["score"] or 0)) for name, category in found["categories"].items()}


def lacking(found: dict[str, Any]) -> list[str]:
    """The audits that cost something, with what they found."""
    counted = {ref["id"] for category in found["categories"].values() for ref in category["auditRefs"] if ref["weight"]}
    return [
        f"{name}: {audit['title']} {json.dumps(audit.get('details', {}).get('items', []))[:300]}"
        for name, audit in found["audits"].items()
        if name in counted and audit["score"] is not None and audit["score"] < 1
    ]
