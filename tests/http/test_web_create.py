"""The form that helps: rules, packages, what others do meanwhile, and ways out where nothing solves."""

from __future__ import annotations

import html as escaping
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import event

from conda_store.server.web.rendering import LARGEST_PAGE
from tests.http.service import Service, data


@pytest.fixture
def developer(service: Service) -> Iterator[httpx.Client]:
    service.make_namespaces("team")
    with service.client() as client:
        assert client.get("/login/", params={"token": "developer"}).status_code == 303
        yield client


@pytest.fixture
def viewer(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        assert client.get("/login/", params={"token": "viewer"}).status_code == 303
        yield client


def form(*lines: str, **others: str) -> dict[str, str]:
    listed = "".join(f"  - {line}\n" for line in lines)
    return {"namespace": "team", "specification": f"name: helped\nchannels: [forge]\ndependencies:\n{listed}"} | others


def test_the_rules_stand_beside_the_editor(service: Service, developer: httpx.Client, viewer: httpx.Client) -> None:
    rules = {"conda_allowed_channels": ["forge"], "conda_required_packages": ["ipykernel"]}
    with service.client("admin") as admin:
        data(admin.put("/api/v1/setting/team/", json=rules))
    try:
        page = developer.get("/create/", params={"namespace": "team"}).text
        part = developer.get("/create/policy/", params={"namespace": "team"}).text
        for text in (page, part):
            for title, item in (("Channels that may be used", "forge"), ("Packages it has to name", "ipykernel")):
                assert re.search(rf"{title} <span[^>]*>\(namespace team\)</span></dt><dd><code>{item}</code>", text)
        assert "<html" not in part
        assert "ipykernel" not in viewer.get("/create/policy/", params={"namespace": "team"}).text
        developer.get("/create/packages/", params={"package": "zlib", "namespace": "team"})
        assert service.channel.asked is not None
        assert service.channel.asked.channels == ("https://conda.anaconda.org/forge",)
    finally:
        with service.client("admin") as admin:
            data(admin.put("/api/v1/setting/team/", json={key: [] for key in rules}))


def test_the_example_can_be_built_where_it_stands(admin: httpx.Client, developer: httpx.Client) -> None:
    """It names the channels of the namespace, not those that everybody knows."""
    settings = "/api/v1/setting/team/"
    assert admin.put(settings, json={"conda_default_channels": ["ours", "https://x.example/#1"]}).status_code == 200
    page = developer.get("/create/?namespace=team").text
    example = escaping.unescape(re.findall(r"<textarea.*?>(.*?)</textarea>", page, re.DOTALL)[0]).strip()
    assert yaml.safe_load(example)["channels"] == ["ours", "https://x.example/#1"]
    built = developer.post("/create/", data={"namespace": "team", "specification": example})
    assert built.headers["location"].startswith("/build/"), built.text
    assert admin.put(settings, json={"conda_default_channels": ["conda-forge"]}).status_code == 200


def test_packages_are_found_with_versions(developer: httpx.Client) -> None:
    part = developer.get("/create/packages/", params={"package": "zlib"}).text
    assert 'data-insert="zlib=1.1"' in part
    assert "forge" in part
    assert 'id="packages-found"' in developer.get("/create/packages/").text


def test_what_would_be_the_next_build_is_said(service: Service, developer: httpx.Client) -> None:
    build_id = service.build("team", "helped", "zlib")
    part = developer.post("/create/check/", data=form("zlib")).text
    assert "team/helped is there already" in part
    assert f"/build/{build_id}/" in part
    assert "alert" not in part
    assert '<div id="outcome" hx-swap-oob="true"></div>' in part, "what was said of the text before goes"


def test_another_name_is_another_environment(service: Service, developer: httpx.Client) -> None:
    build_id = service.submit("team", "helped", "zlib")
    other = form("zlib") | {"specification": "name: unheard-of\ndependencies: [zlib]", "build": str(build_id)}
    part = developer.post("/create/check/", data=other).text
    assert "team/unheard-of will be a new environment: team / helped stays as it is." in part


def test_what_has_no_name_is_asked_for_one(developer: httpx.Client) -> None:
    nameless = developer.post("/create/check/", data=form("zlib") | {"specification": "dependencies: [zlib]"}).text
    assert 'It has no name: <a href="#name">give it one</a>' in nameless
    nameless = developer.post("/create/", data=form("zlib") | {"specification": "dependencies: [zlib]"}).text
    assert '<details class="more" open><summary>Name' in nameless, "without a script it is open as well"


def test_who_edits_learns_of_newer_builds(service: Service, developer: httpx.Client) -> None:
    first = service.build("team", "helped", "zlib")
    page = developer.get("/create/", params={"build": first}).text
    path = escaping.unescape(re.search(r'hx-get="(/create/newer/[^"]+)"', page)[1])  # type: ignore[index]
    assert "every 10s" in developer.get(path).text
    second = service.build("team", "helped", "zlib")
    news = re.sub(r"<[^>]+>", "", developer.get(path).text)
    assert f"Build {second} of this environment was submitted by system while you were editing" in news
    assert "every" not in news


def test_the_build_to_be_edited_is_looked_up_once(service: Service, developer: httpx.Client) -> None:
    build_id = service.build("team", "helped", "zlib")
    asked: list[str] = []
    engine = service.context.database.engine

    def note(*given: Any) -> None:
        asked.append(given[2])

    event.listen(engine, "before_cursor_execute", note)
    try:
        page = developer.get("/create/", params={"build": build_id}).text
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert "Edit team / helped" in page
    assert sum("build.prefix" in statement for statement in asked) == 1


def test_namespaces_are_offered_as_far_as_there_is_room(service: Service) -> None:
    """The one that is asked for comes first, whatever does not fit."""
    long = [f"many-{'x' * 240}-{number:03}" for number in range(300)]
    service.make_namespaces(*long)
    with service.client() as client:
        assert client.get("/login/", params={"token": "admin"}).status_code == 303
        page = client.get("/create/", params={"namespace": long[-1]}).text
    names = re.findall(r"<option[^>]*>([^<]+)</option>", page.partition('id="format"')[0])
    assert names[0] == long[-1]
    assert 50 < len(names) < 300
    assert "More than can be listed here" in page
    assert len(page.encode()) <= LARGEST_PAGE + 1000


def test_ways_out_have_been_tried(service: Service, developer: httpx.Client) -> None:
    sent = form("clash-a=1.5", "clash-b=2.0", "zlib")
    page = developer.post("/create/preview/", data=sent)
    assert page.status_code == 400
    assert 'hx-post="/create/suggestions/"' in page.text
    part = developer.post("/create/suggestions/", data=sent, headers={"HX-Target": "suggestions"}).text
    values = [json.loads(escaping.unescape(value)) for value in re.findall(r'name="change" value="([^"]+)"', part)]
    assert [["clash-a=1.5", "clash-a=1.0"]] in values
    assert [["clash-b=2.0", None]] in values
    assert not any(before == "zlib" for changes in values for before, _ in changes)
    solves = service.builder.calls["solve"]
    again = developer.post("/create/suggestions/", data=sent).text
    assert "These changes have been tried" in again
    assert "clash-a=1.5" in again.split("<textarea")[1], "nothing that was typed is lost"
    assert service.builder.calls["solve"] - solves <= 12
    taken = developer.post("/create/preview/", data=sent | {"change": json.dumps([["clash-b=2.0", None]])})
    assert taken.status_code == 200
    assert "Preview: 2 packages" in taken.text
    assert "clash-b" not in taken.text.split("<textarea")[1].split("</textarea")[0]


def test_nothing_is_suggested_where_nothing_helps(developer: httpx.Client) -> None:
    part = developer.post("/create/suggestions/", data=form("zlib"), headers={"HX-Target": "suggestions"}).text
    assert "No change" in part
    wrong = form("zlib", change="no json")
    assert developer.post("/create/preview/", data=wrong).status_code == 400
