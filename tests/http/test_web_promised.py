"""The texts, ids and elements by which programs of earlier releases find their way on the pages, by page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from conda_store.domain.platform import current_platform
from conda_store.domain.settings import GLOBAL_ONLY, SETTING_NAMES
from tests.http.service import Service

Elements = list[tuple[str, dict[str, str], str]]

COMMON = ("a=Environments", "#message", "a=Docs")
# kind=text: an element with exactly this text (a=, button=, h1= ...); #id; placeholder=; label=; text= anywhere
PROMISED = {
    ("home of nobody", "", "/"): ("a=conda-store", "a=Login", "h1=Environments", "placeholder=Search", "button=Search"),
    ("home", "admin", "/?search=promised"): (
        *COMMON,
        "a=User",
        "text=default / promised",
        "a=YAML",
        "a=Lockfile",
        "a=Archive",
        "a=Docker",
        f"a=Installer ({current_platform()})",
        "a=Create an environment",
        "copied=localhost:8080/default/promised:",
    ),
    ("create", "admin", "/create/"): (
        *COMMON,
        "label=Namespace",
        "label=Input type",
        "option=specification (environment.yaml)",
        "option=unified lockfile (conda-lock.yml)",
        "label=Name",
        "label=Description",
        "type=file",
        "textarea#specification",
        "button=Submit",
    ),
    ("environment", "admin", "/environment/default/promised/"): (
        *COMMON,
        "h1=promised",
        "text=What it is for",
        "a=Settings",
        "a=Edit",
        "a=Delete",
        "h2=Builds",
        "tr.active",
        "tr.gone",
        "a=Build {active}",
        "a=Build {older}",
        "pre.text",
        "labelled=Activate build {older}",
        "labelled=Rebuild build {older}",
        "labelled=Delete build {older}",
        "labelled=Cancel build {waiting}",
    ),
    ("edit", "admin", "/create/?namespace=default&build={active}"): ("textarea#specification", "button=Submit"),
    ("build", "admin", "/build/{active}/"): (
        *COMMON,
        "#build-status",
        "text=Scheduled on",
        "text=Started on",
        "text=Ended on",
        "text=Size",
        "th=#",
        "th=Name",
        "th=Version",
        "th=Channel",
        "text=Packages (1)",
        "text=micromamba create -n promised -f http",
        "text=conda-store run default/promised:{active} -- python",
        "a=environment.yaml",
        "a=conda-lock.yml",
        "a=environment.tar.gz",
        f"a=installer ({current_platform()})",
        "copied=localhost:8080/default/promised:",
        "a=Full Logs",
        "pre.text",
    ),
    ("namespaces", "admin", "/namespace/"): (
        *COMMON,
        "a=default",
        "labelled=Settings of default",
        "labelled=Delete default",
        "placeholder=Namespace",
        "button=Create Namespace",
    ),
    ("user", "admin", "/user/"): (
        *COMMON,
        "button=Logout",
        "button=Make token",
        "a=Manage Namespaces",
        "a=Manage Global Settings",
        "h2=Permissions",
        "th=Namespace",
        "th=# Environments",
        "th=# Builds",
        "th=Total Storage",
        "progress",
    ),
    ("all settings", "admin", "/setting/"): ("h2=Environment Settings", "h2=Global Settings", *sorted(SETTING_NAMES)),
    ("settings of a namespace", "admin", "/setting/default/"): ("h2=Environment Settings", *sorted(SETTING_NAMES)),
    ("settings of an environment", "admin", "/setting/default/promised/"): (
        "h2=Environment Settings",
        "h2=Global Settings",
    ),
    ("login", "", "/login/"): ("placeholder=Username", "placeholder=Password", "button=Sign In"),
}


class Read(HTMLParser):
    """The elements of a page: name, attributes, and the text within."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: Elements = []
        self._open: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}, ""))
        if tag not in {"input", "meta", "link", "br", "rect", "line", "img"}:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self.elements[self._open.pop()][0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for index in self._open:
            name, attributes, text = self.elements[index]
            self.elements[index] = (name, attributes, text + data)


def has(elements: Elements, wanted: str) -> bool:
    """Whether a page has an element, as it is written in the table."""
    kind, is_text, value = wanted.partition("=")
    text = " ".join(value.split())
    for tag, attributes, content in elements:
        said = " ".join(content.split())
        classes = {f"{tag}.{name}" for name in attributes.get("class", "").split()}
        places = {tag, f"#{attributes.get('id')}", f"{tag}#{attributes.get('id')}", *classes, attributes.get("name")}
        found = {
            "text": tag == "body" and text in said,
            "labelled": attributes.get("aria-label") == text,
            "copied": attributes.get("data-copy", "").startswith(text),
            "placeholder": attributes.get("placeholder") == text,
            "type": attributes.get("type") == text,
        }.get(kind, tag == kind and said == text)
        if found if is_text else wanted in places:
            return True
    return False


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory: Path = tmp_path_factory.mktemp("s")
    with Service(directory) as service:
        yield service


@pytest.fixture(scope="module")
def ids(service: Service) -> dict[str, int]:
    """An environment with builds of all kinds: deleted, older, active, waiting."""
    found = {name: service.build("default", "promised", "zlib") for name in ("deleted", "older", "active")}
    found["waiting"] = service.submit("default", "promised", "zlib")
    with service.client("admin") as client:
        described = client.put("/api/v1/environment/default/promised/", json={"description": "What it is for"})
        assert described.status_code == 200
        assert client.delete(f"/api/v1/build/{found['deleted']}/").status_code == 200
    return found


@pytest.mark.parametrize(("page", "token", "path"), PROMISED, ids=[page for page, _, _ in PROMISED])
def test_what_is_promised_is_there(service: Service, ids: dict[str, int], page: str, token: str, path: str) -> None:
    with service.client() as client:
        client.headers["Accept"] = "text/html"
        if token:
            client.get("/login/", params={"token": token})
        answer = client.get(path.format(**ids))
    assert answer.status_code == 200
    elements = Read(answer.text).elements
    assert [wanted for wanted in PROMISED[page, token, path] if not has(elements, wanted.format(**ids))] == []


def test_what_is_not_there_is_missed(service: Service) -> None:
    with service.client() as client:
        elements = Read(client.get("/login/").text).elements
    for wanted in ("a=User", "#build-status", "placeholder=Search", "text=Full Logs", "tr.active", "labelled=Delete"):
        assert not has(elements, wanted), wanted


def answers(client: httpx.Client, *paths: str) -> list[tuple[int, str]]:
    found = [client.get(path) for path in paths]
    return [(answer.status_code, answer.headers.get("location", "")) for answer in found]


def test_where_the_pages_of_earlier_releases_lead(service: Service, ids: dict[str, int]) -> None:
    with service.client() as nobody, service.client() as stranger:
        for client in (nobody, stranger):
            client.headers["Accept"] = "text/html"
        assert nobody.get("/admin/", follow_redirects=True).status_code == 200
        assert answers(nobody, "/user/")[0][0] == 307
        assert "/login/" in answers(nobody, "/user/")[0][1]
        stranger.get("/login/", params={"token": "stranger"})
        assert {status for status, _ in answers(stranger, "/setting/", "/setting/default/")} <= {403, 404}
        assert answers(stranger, "/environment/default/no-such-thing/")[0][0] == 404
    with service.client() as admin:
        admin.get("/login/", params={"token": "admin"})
        below = admin.get("/setting/default/").text.split("Global Settings")[1]
        fields = re.findall(r"<input[^>]*>", below)
        assert len(fields) == len(GLOBAL_ONLY)
        assert all(" readonly" in field for field in fields), "below the top they are for reading"
        copied = admin.get(f"/build/{ids['active']}/").text
        assert re.search(r"micromamba create -n promised -f http://\S+/conda-lock\.yaml", copied)
