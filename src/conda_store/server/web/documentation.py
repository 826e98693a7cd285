"""The documentation that comes with the service: its Markdown, rendered when it is first asked for."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from conda_store.errors import NotFound
from conda_store.server.parts import Caller
from conda_store.server.web.rendering import PageRoute, own_path, page

if TYPE_CHECKING:
    from markdown_it.token import Token

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_PACKAGE = Path(__file__).parents[2]
# in an installation, and in a clone
_PLACES = (_PACKAGE / "documentation", _PACKAGE.parents[1] / "docs")
_PICTURES = {".png": "image/png", ".svg": "image/svg+xml", ".webp": "image/webp"}
_START = "index.md"


@dataclass(frozen=True)
class Rendered:
    title: str
    body: str


@router.get("/documentation/")
def get_start(request: Request) -> Response:
    return _answer(request, _START)


@router.get("/documentation/{path:path}")
def get_document(request: Request, call: Caller, path: str) -> Response:
    """A page or a picture; pages are at the paths of their files, so that the links between them hold."""
    if Path(path).suffix in _PICTURES:
        content = _found(path).read_bytes()
        kind = _PICTURES[Path(path).suffix]
        return Response(content, headers={"Cache-Control": "public, max-age=3600"}, media_type=kind)
    return _answer(request, path, start=own_path(call.options, "documentation"))


def _answer(request: Request, path: str, start: str = "") -> Response:
    text = rendered(path)
    # the documentation is ours, and raw HTML in it is not let through
    body = Markup(text.body)  # noqa: S704
    return page(request, "documentation.html", title=text.title, body=body, start=start)


@lru_cache(maxsize=1)
def _files() -> dict[str, Path]:
    """By path below the documentation's directory: what is not in here is not served."""
    place = next((place for place in _PLACES if (place / _START).is_file()), None)
    if place is None:
        return {}
    kinds = {".md", *_PICTURES}
    return {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.suffix in kinds}


def _found(path: str) -> Path:
    found = _files().get(path)
    if found is None:
        raise NotFound("there is no such page in the documentation")
    return found


@lru_cache(maxsize=128)
def rendered(path: str) -> Rendered:
    """
    Raises:
        NotFound: there is no such page.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(_found(path).read_text(encoding="utf-8"))
    title = "Documentation"
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            words = tokens[index + 1].content
            token.attrSet("id", re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-"))
            title = words if token.tag == "h1" else title
        elif token.type == "table_open":
            token.attrSet("class", "prose")
        elif token.type == "fence":
            token.info = ""
        for child in token.children or ():
            _link(child, path)
    body = str(parser.renderer.render(tokens, parser.options, {}))
    body = body.replace("<pre>", '<pre class="text" tabindex="0">')
    return Rendered(re.sub(r"[`*]", "", title), body)


def _link(token: Token, path: str) -> None:
    """Links to files that are not served lead nowhere."""
    if token.type == "image":
        token.attrSet("loading", "lazy")
    if token.type != "link_open":
        return
    target = urlsplit(str(token.attrGet("href") or ""))
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(path), target.path))
    if not target.scheme and target.path and inside not in _files():
        token.attrs.pop("href", None)
