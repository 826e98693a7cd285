"""Style sheet and scripts: our own, the one foreign file as it was published, and nothing from other hosts."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import httpx

import conda_store.server.web as web

STATIC = Path(web.__file__).parent / "static"
TEMPLATES = Path(web.__file__).parent / "templates"
HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"


def test_htmx_is_the_file_that_was_published() -> None:
    """dist/htmx.min.js of htmx.org 2.0.11."""
    assert hashlib.sha256((STATIC / "htmx.min.js").read_bytes()).hexdigest() == HTMX
    assert "Zero-Clause BSD" in (STATIC / "htmx.LICENSE.txt").read_text()


def test_files_named_by_their_content_are_kept_by_browsers(anonymous: httpx.Client) -> None:
    page = anonymous.get("/login/").text
    assets = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(assets) == 4
    for path in assets:
        answer = anonymous.get(path)
        assert answer.status_code == 200, path
        assert "immutable" in answer.headers["cache-control"]
        again = anonymous.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert "immutable" not in anonymous.get(path.partition("?")[0]).headers["cache-control"]
    assert anonymous.get("/static/..%2Flogin.py").status_code == 404


def test_templates_name_no_other_host_and_nothing_inline() -> None:
    for path in TEMPLATES.iterdir():
        text = path.read_text()
        assert "//" not in re.sub(r"\{[{%#].*?[}%#]\}", "", text, flags=re.DOTALL), path.name
        assert not re.search(r"<style|style=|\son\w+=|<script(?! src)|\|\s*safe", text), path.name
