"""Links and images of the documentation lead somewhere, and no page names the machine on which it was written."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
_FENCE = re.compile(r"^(```+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# where this project is developed, and the hosts of package registries: a reader has neither
_FORBIDDEN = re.compile(
    r"(?<![\w.])/(?:work|root|tmp/(?!analysis))\b"
    r"|files\.pythonhosted\.org|\bpypi\.org|deb\.debian\.org|registry\.npmjs\.org|proxy\.golang\.org"
)


def prose(path: Path) -> str:
    """The text without code blocks and inline code."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", path.read_text()))


def anchors(path: Path) -> set[str]:
    """The names under which headings can be linked to, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def relative_links(path: Path) -> list[str]:
    return [link for link in _LINK.findall(prose(path)) if "://" not in link and not link.startswith("mailto:")]


def test_there_are_pages() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {path.name for path in PAGES}
    assert len(PAGES) > 15


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for link in relative_links(path):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{link} names no heading of {target.name}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_the_machine_it_was_written_on(path: Path) -> None:
    found = _FORBIDDEN.search(path.read_text())
    assert found is None, f"{path.name} names {found[0]}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_has_one_title_and_closed_code_blocks(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n```") % 2 == 0, "a code block is not closed"
    assert len(re.findall(r"^# ", _FENCE.sub("", text), re.MULTILINE)) == 1


def test_every_page_is_found_from_the_index() -> None:
    index = DOCS / "index.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in relative_links(index)}
    missing = [str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md") if path != index and path not in linked]
    assert not missing, f"docs/index.md does not link to {', '.join(missing)}"


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.svg")), ids=lambda path: path.name)
def test_pictures_are_used_and_described(path: Path) -> None:
    root = ElementTree.parse(path).getroot()
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert {"title", "desc"} <= names, "a picture needs title and desc, for those who do not see it"
    assert not names & {"script", "image", "foreignObject"}


def test_every_picture_is_shown() -> None:
    used = {(page.parent / link).resolve() for page in PAGES for link in relative_links(page)}
    assert {path.name for path in (DOCS / "images").iterdir() if path not in used} == set()
