"""The documentation is served by the service itself, every page of it, and leads nowhere that is not there."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]


class Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.add(given.get("id") or "")
        target = given.get("href") if tag == "a" else given.get("src") if tag in {"img", "script"} else None
        if target:
            self.targets.append(target)


def test_every_page_can_be_read_and_every_link_leads_somewhere(anonymous: httpx.Client) -> None:
    seen: dict[str, Links] = {}
    waiting = ["/documentation/"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        answer = anonymous.get(path)
        assert answer.status_code == 200, path
        is_page = answer.headers["content-type"].startswith("text/html")
        seen[path] = Links(answer.text if is_page else "")
        for target in seen[path].targets:
            parts = urlsplit(urljoin(path, target))
            if not parts.scheme and parts.path.startswith("/documentation/"):
                waiting.append(parts.path)
    files = {f"/documentation/{path.relative_to(ROOT / 'docs').as_posix()}" for path in ROOT.glob("docs/**/*.md")}
    assert files - seen.keys() == {"/documentation/index.md"}
    broken = [
        (path, target)
        for path, links in seen.items()
        for target in links.targets
        if (parts := urlsplit(urljoin(path, target))).fragment
        and not parts.scheme
        and parts.path in seen
        and parts.fragment not in seen[parts.path].ids
    ]
    assert broken == []


def test_only_the_documentation_is_served(anonymous: httpx.Client) -> None:
    for path in ("../pyproject.toml", "%2e%2e/README.md", "/etc/passwd", "nothing.md", "images"):
        answer = anonymous.get(f"/documentation/{path}", headers={"Accept": "text/html"})
        assert answer.status_code == 404, path


def test_tables_and_code_are_rendered(anonymous: httpx.Client) -> None:
    page = anonymous.get("/documentation/how-to/pages.md").text
    assert "<h1 id=" in page
    assert re.search(r'<img src="\.\./images/home-light-wide\.webp" alt="[^"]+" loading="lazy"', page)
    assert "<table" in anonymous.get("/documentation/reference/routes.md").text


def test_the_documentation_is_part_of_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=PATIENCE)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"conda_store/documentation/index.md", "conda_store/documentation/images/flow.svg"} <= names
    assert {"conda_store/server/web/templates/base.html", "conda_store/server/web/static/conda-store.css"} <= names
