"""Every page with the longest values that are legal: 60 kB at most; what does not fit on a page is on the next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from conda_store.server.web.rendering import LARGEST_PAGE
from tests.http.longest import DEPLOYMENT, ENVIRONMENTS, crowd, name_of, paths
from tests.http.service import Service

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("s"), DEPLOYMENT) as service:
        crowd(service)
        yield service


@pytest.fixture
def html(crowded: Service) -> Iterator[httpx.Client]:
    """The browser of an admin."""
    with crowded.client() as client:
        client.headers["Accept"] = "text/html"
        assert client.get("/login/", params={"token": "admin"}).status_code == 303
        yield client


def test_no_page_is_larger_than_60_kb(crowded: Service, html: httpx.Client) -> None:
    documents = [f"/documentation/{path.relative_to(DOCS)}" for path in DOCS.rglob("*.md")]
    found = {path: html.get(path) for path in (*paths(crowded), *documents, "/docs")}
    assert {path: page.status_code for path, page in found.items() if page.status_code != 200} == {
        path: 404 for path in found if path.startswith("/nothing/")
    }
    # what is there to be edited is there as a whole
    sizes = {
        path: len(re.sub(r"<textarea.*?</textarea>", "", page.text, flags=re.DOTALL).encode())
        for path, page in found.items()
    }
    assert {path: size for path, size in sizes.items() if size > LARGEST_PAGE} == {}


def followed(client: httpx.Client, path: str) -> Iterator[str]:
    """A page and all that come after it."""
    for _ in range(400):
        text = client.get(path).text
        yield text
        following = re.search(r'href="([^"]*)" rel="next"', text)
        if following is None:
            return
        path = unescape(following[1])
    raise AssertionError(f"{path} leads on without end")


@pytest.mark.parametrize(
    ("path", "row", "count"),
    [
        ("/", r'<li class="card">.*?</span>((?:n|waiting)&amp;.*?)</a>', ENVIRONMENTS + 25),
        ("/namespace/", r'<tr><td><a href="[^"]*">n&amp;[^<]*?(\d{3})</a>', ENVIRONMENTS),
        ("/token/", r'aria-label="(?:End login|Revoke) (\d+) of', 360),
    ],
)
def test_all_that_there_is_is_on_one_page_or_another(html: httpx.Client, path: str, row: str, count: int) -> None:
    shown = [found for text in followed(html, path) for found in re.findall(row, text, flags=re.DOTALL)]
    assert len(set(shown)) == len(shown) >= count


def test_what_is_left_out_of_a_list_is_told(html: httpx.Client) -> None:
    assert re.search(r"and \d+ more: <code>conda-store credential list</code>", html.get("/credential/").text)
    page = html.get(f"/namespace/{quote(name_of(0), safe='')}/").text
    assert len(re.findall(r"and \d+ more: <code>conda-store (?:access|credential list)</code>", page)) >= 2
