"""Pages: what they show to whom, what their forms do, and that nothing that users wrote becomes markup."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from conda_store.builder.formats import FORMATS as READ
from conda_store.builder.package_index.model import PackagePage, PackageQuery
from conda_store.db import artifacts, builds, environments, leases, namespaces, specifications
from conda_store.db.tables import build
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.build import Phase, Progress
from conda_store.domain.platform import current_platform
from conda_store.domain.settings import DEPLOYMENT_DECIDES, GLOBAL_ONLY, SETTING_NAMES
from conda_store.domain.specification import Specification
from conda_store.server.web.create import FORMATS
from conda_store.server.web.setting_texts import TEXTS
from tests.http.service import Channel, Service, data

MARK = "<img src=x onerror=alert(1)>\"'&amp;"


class Planted(HTMLParser):
    """The elements and attributes of a page that none of our templates has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs} - ({"x"} if tag == "rect" else set())
        if tag in {"img", "b"} or any(name.startswith("on") or name in {"x", "style"} for name in names):
            self.found.append(self.get_starttag_text() or tag)


def test_what_is_planted_is_noticed() -> None:
    assert Planted(f"<p>{MARK}</p>").found
    assert Planted('<input value="" onerror="alert(1)">').found


def follow(answer: httpx.Response, client: httpx.Client) -> str:
    """The page that a form led to."""
    assert answer.status_code == 303, answer.text
    page = client.get(answer.headers["location"])
    assert page.status_code == 200
    return page.text


def key_of(client: httpx.Client, build_id: int) -> str:
    """The key of a build, which is the tag of its image."""
    made = data(client.get(f"/api/v1/build/{build_id}/"))["build_artifacts"]
    lockfile: str = next(item["key"] for item in made if item["artifact_type"] == "LOCKFILE")
    return lockfile.split("/")[1].removesuffix(".yml")


def test_the_first_page_finds_by_name_description_and_package(service: Service, html: dict[str, httpx.Client]) -> None:
    service.build("finding", "alpha", "zlib=1.2.3")
    specification = "name: beta\nchannels: [forge]\ndependencies: [numpy, {pip: [Torch==2.4.1]}]"
    html["admin"].post("/create/", data={"namespace": "finding", "specification": specification})
    service.work()
    client = html["admin"]
    client.put("/api/v1/environment/finding/alpha/", json={"description": "Everything for Tides"})
    for words, found in (
        ("alpha", {"alpha"}),
        ("tides", {"alpha"}),
        ("finding numpy", {"beta"}),
        ("finding", {"alpha", "beta"}),
        ("finding / beta", {"beta"}),
        ("100%", set()),
        ("_lpha", set()),
        ("finding zlib 1.2", {"alpha"}),
        ("finding zlib=1.2", {"alpha"}),
        ("zlib>=1.2,<1.3 finding", {"alpha"}),
        ("finding zlib>1.2.3", set()),
        ("finding NumPy != 2", {"beta"}),
        ("finding torch 2.4", {"beta"}),
        ("finding torch 2.5", set()),
    ):
        page = client.get("/", params={"search": words}).text
        assert set(re.findall(r'href="/environment/finding/(\w+)/"', page)) == found, words
    part = client.get("/", params={"search": "alpha"}, headers={"HX-Request": "true", "HX-Target": "environments"}).text
    assert "<html" not in part
    assert 'id="environments"' in part
    assert '<code class="found">zlib 1.2.3</code>' in client.get("/", params={"search": "zlib>1"}).text
    status = client.get("/", params={"status": "FAILED", "namespace": "finding"}).text
    assert "Nothing is found" in status
    unseen = html[""].get("/", params={"namespace": "team"}).text
    assert '<a href="/login/?next=%2F%3Fnamespace%3Dteam">log in</a> to see yours' in unseen


def test_a_card_has_status_size_age_links_and_the_command(service: Service, html: dict[str, httpx.Client]) -> None:
    build_id = service.build("cards", "one", "zlib")
    page = html["admin"].get("/", params={"namespace": "cards"}).text
    text = re.sub(r"<[^>]+>", "", page)
    assert "cards / one" in text
    installer = f"Installer ({current_platform()})"
    for word in ("COMPLETED", "just now", "YAML", "Lockfile", "Archive", installer, "Docker", " B", "by system"):
        assert word in text, word
    assert f'data-copy="localhost:8080/cards/one:{key_of(html["admin"], build_id)}"' in page
    assert f'href="/api/v1/build/{build_id}/lockfile/"' in page
    part = html["admin"].get("/environment/cards/one/use/").text
    assert "<html" not in part
    assert 'data-copy="conda-store run cards/one -- python"' in part
    assert 'data-copy="docker run -it --rm' in part
    assert html["stranger"].get("/environment/cards/one/use/").status_code == 404


def test_the_search_follows_activations(service: Service, html: dict[str, httpx.Client]) -> None:
    first = service.build("following", "tides", "zlib=1.0")
    service.build("following", "tides", "numpy=2.0")
    client = html["admin"]

    def is_found(words: str) -> bool:
        return "/environment/following/tides/" in client.get("/", params={"search": f"following {words}"}).text

    assert (is_found("zlib"), is_found("numpy 2")) == (False, True)
    client.post(f"/build/{first}/activate/")
    assert (is_found("zlib 1.0"), is_found("numpy")) == (True, False)


def test_pages_are_for_those_who_may_read(service: Service, html: dict[str, httpx.Client]) -> None:
    build_id = service.build("team", "guarded", "zlib")
    for path in ("/environment/team/guarded/", f"/build/{build_id}/", "/environment/team/guarded/difference/"):
        for token in ("", "stranger"):
            answer = html[token].get(path)
            assert answer.status_code == 404, (path, token)
            if "guarded" in path:
                missing = html[token].get(path.replace("guarded", "missing"))
                assert answer.text.replace("guarded", "missing") == missing.text
            else:
                assert "guarded" not in answer.text
        for token in ("viewer", "developer", "owner", "admin"):
            assert html[token].get(path).status_code == 200, (path, token)
    assert "guarded" not in html[""].get("/").text
    assert "guarded" in html["viewer"].get("/").text


def test_buttons_are_for_those_who_may_press_them(service: Service, html: dict[str, httpx.Client]) -> None:
    first = service.build("team", "buttons", "zlib")
    second = service.build("team", "buttons", "zlib", "numpy")
    waiting = service.submit("team", "buttons", "zlib")
    path = "/environment/team/buttons/"
    shown = {token: html[token].get(path).text for token in ("viewer", "developer", "owner")}
    for word, tokens in (
        (f"Activate build {first}", {"developer", "owner"}),
        (f"Rebuild build {first}", {"developer", "owner"}),
        (f"Cancel build {waiting}", {"developer", "owner"}),
        (f"Delete build {first}", {"owner"}),
        (f"{path}delete/", {"owner"}),
    ):
        assert {token for token, page in shown.items() if word in page} == tokens, word
    assert f"Activate build {second}" not in shown["owner"], "it is the active one"
    for action in ("activate", "rebuild", "cancel", "delete"):
        answer = html["viewer"].post(f"/build/{first}/{action}/")
        assert answer.status_code == 403, action
        assert "request not authorized" in answer.text
        assert html["stranger"].post(f"/build/{first}/{action}/").status_code == 404
    service.work()


def test_an_environment_is_made_rolled_back_and_deleted(service: Service, html: dict[str, httpx.Client]) -> None:
    client = html["owner"]
    builds = []
    for package in ("zlib=1.0", "zlib=1.1"):
        form = {
            "namespace": "team",
            "specification": f"name: journey\r\nchannels: [forge]\r\ndependencies: [{package}]",
        }
        answer = client.post("/create/", data=form)
        builds.append(int(answer.headers["location"].split("/")[2]))
        assert 'id="build-status"' in follow(answer, client)
        service.work()
    page = client.get("/environment/team/journey/").text
    assert f'Build {builds[1]}</a> <strong class="tag">active' in page
    difference = client.get(
        "/environment/team/journey/difference/", params={"before": builds[0], "after": builds[1]}
    ).text
    assert '<td>zlib</td><td data-label="From">1.0</td><td data-label="to">1.1</td><td>up</td>' in difference
    page = follow(client.post(f"/build/{builds[0]}/activate/"), client)
    assert "This build is now the active one." in page
    assert data(client.get("/api/v1/environment/team/journey/"))["current_build_id"] == builds[0]
    assert "The description has been changed." in follow(
        client.post("/environment/team/journey/description/", data={"description": "Two words"}), client
    )
    assert client.post("/environment/team/journey/delete/", data={"typed": "other"}).status_code == 400
    assert client.get("/environment/team/journey/").status_code == 200
    answer = client.post("/environment/team/journey/delete/", data={"typed": "journey"})
    assert "The environment has been deleted." in follow(answer, client)
    assert client.get("/environment/team/journey/").status_code == 404


def test_a_build_is_rebuilt_cancelled_and_deleted(service: Service, html: dict[str, httpx.Client]) -> None:
    client = html["owner"]
    first = service.build("team", "again", "zlib")
    answer = client.post(f"/build/{first}/rebuild/")
    again = int(answer.headers["location"].split("/")[2])
    assert again > first
    page = follow(client.post(f"/build/{again}/cancel/"), client)
    assert "CANCELED" in page
    assert client.post(f"/build/{first}/cancel/").status_code == 409
    assert "is the active build" in client.get(f"/build/{first}/delete/").text
    page = follow(client.post(f"/build/{first}/delete/"), client)
    assert '<span class="tag">deleted</span>' in page
    assert client.get(f"/build/{first}/").status_code == 200, "its page stays"


def test_a_failed_build_leads_with_its_reason(service: Service, html: dict[str, httpx.Client]) -> None:
    build_id = service.build("team", "failing", "missing-thing")
    page = html["viewer"].get(f"/build/{build_id}/").text
    reason = "Packages not found in the channels: missing-thing"
    assert page.index("Why it failed") < page.index(reason) < page.index("<dl")
    assert "missing-thing" in page.split('id="specification"')[1], "the specification of a failed build can be read"
    assert reason in html["viewer"].get("/", params={"search": "failing"}).text


def test_a_build_can_be_looked_at_when_its_log_is_lost(service: Service, html: dict[str, httpx.Client]) -> None:
    build_id = service.build("team", "lost-log", "zlib")
    with service.context.database.read() as connection:
        kept = artifacts.find(connection, build_id, ArtifactType.LOGS)
    assert kept is not None
    service.context.blobs.delete(kept.key)
    page = html["viewer"].get(f"/build/{build_id}/")
    assert (page.status_code, "zlib" in page.text) == (200, True)


def test_a_running_build_can_be_followed(service: Service, html: dict[str, httpx.Client]) -> None:
    build_id = service.submit("team", "running", "zlib")
    with service.context.database.write() as connection:
        told = Progress(Phase.LINKING, 3, 30, 2**20, 2**21, 2, ("numpy", "zlib")).dump()
        connection.execute(update(build).where(build.c.id == build_id).values(progress=told))
    page = html["viewer"].get(f"/build/{build_id}/").text
    assert "Remaining: numpy, zlib and 26 more" in page
    assert "1.0 MiB of 2.0 MiB" in page
    assert f'data-events="/api/v1/build/{build_id}/events/"' in page
    assert '<noscript><meta http-equiv="refresh"' in page
    service.work()
    page = html["viewer"].get(f"/build/{build_id}/").text
    assert "data-events" not in page
    assert '<td class="number muted">1</td><td>zlib</td>' in page
    for text in ("Full Logs", "conda-lock.yml", "environment.tar.gz", "micromamba create -n running -f http"):
        assert text in page


def test_what_is_wrong_is_shown_with_its_line_and_nothing_is_lost(html: dict[str, httpx.Client]) -> None:
    text = "name: wrong\nchannels: [forge]\ndependencies:\n  - zlib\n  - {a: 1}\n"
    form = {"namespace": "team", "specification": text, "description": "My words", "name": "kept-name"}
    answer = html["developer"].post("/create/", data=form)
    assert answer.status_code == 400
    assert 'data-line="5">Line 5</a>' in answer.text
    assert "<code>  - {a: 1}</code>" in answer.text
    assert "  - {a: 1}" in answer.text.split("<textarea")[1]
    assert 'value="My words"' in answer.text
    assert 'value="kept-name"' in answer.text
    checked = html["developer"].post("/create/check/", data=form)
    assert checked.status_code == 200
    assert "Line 5" in checked.text
    assert "<html" not in checked.text
    form["specification"] = "name: right\nchannels: [forge]\ndependencies: [zlib]"
    assert "Line" not in html["developer"].post("/create/check/", data=form).text


@pytest.mark.parametrize("token", ["", "viewer", "stranger"])
def test_who_may_not_create_is_told_so_and_loses_nothing(html: dict[str, httpx.Client], token: str) -> None:
    form = {"namespace": "team", "specification": "name: foreign\nchannels: [forge]"}
    for path in ("/create/", "/create/preview/"):
        answer = html[token].post(path, data=form)
        assert answer.status_code == 403
        assert "you may not create environments in &#39;team&#39;" in answer.text
        assert "name: foreign" in answer.text.split("<textarea")[1]


def test_a_file_is_taken_without_a_script(service: Service, html: dict[str, httpx.Client]) -> None:
    service.make_namespaces("team")
    upload = {"file": ("environment.yaml", b"name: uploaded\nchannels: [forge]\ndependencies: [zlib]\n")}
    answer = html["developer"].post("/create/", data={"namespace": "team", "specification": "ignored"}, files=upload)
    assert answer.status_code == 303
    service.work()
    assert html["developer"].get("/environment/team/uploaded/").status_code == 200


def test_a_file_that_is_too_large_is_refused_with_a_page(html: dict[str, httpx.Client]) -> None:
    large = {"file": ("environment.yaml", b"#" * 13 * 1024**2)}
    # browsers announce how long a form is; what is sent in pieces is counted
    for pieces in (False, True):
        request = html["developer"].build_request("POST", "/create/", data={"namespace": "team"}, files=large)
        if pieces:
            body = request.read()
            headers = {key: value for key, value in request.headers.items() if key != "content-length"}
            request = httpx.Request("POST", request.url, headers=headers, content=iter([body[:100], body[100:]]))
        answer = html["developer"].send(request)
        assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")
        assert "what was sent is larger than 12.0 MiB" in answer.text
        assert "Go back" in answer.text
    plain = html["developer"].post("/api/v1/specification/", content=b"#" * 13 * 1024**2)
    assert plain.json()["status"] == "error"


def test_a_form_that_cannot_be_read_is_refused_with_a_page(html: dict[str, httpx.Client]) -> None:
    sent = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = html["developer"].post("/create/", content=b"no form", headers=sent)
    assert answer.status_code == 400
    assert "the form cannot be read" in answer.text
    assert "<html" in answer.text


def test_a_preview_solves_without_building(service: Service, html: dict[str, httpx.Client]) -> None:
    service.build("team", "previewed", "zlib=1.0", "numpy")
    form = {
        "namespace": "team",
        "specification": "name: previewed\nchannels: [forge]\ndependencies: [zlib=1.1, pandas]",
    }
    page = html["developer"].post("/create/preview/", data=form)
    assert page.status_code == 200
    assert "Preview: 2 packages" in page.text
    assert "1 added, 1 removed, 1 changed, 0 as before" in page.text
    assert "zlib: 1.0 → 1.1" in page.text
    assert service.work() is None, "nothing was queued"
    form["specification"] = "name: previewed\nchannels: [forge]\ndependencies: [missing-x]"
    answer = html["developer"].post("/create/preview/", data=form)
    assert answer.status_code == 400
    assert "Packages not found in the channels: missing-x" in answer.text


def test_editing_starts_from_the_specification_of_a_build(service: Service, html: dict[str, httpx.Client]) -> None:
    build_id = service.build("team", "edited", "zlib", "numpy")
    answer = html["developer"].get("/environment/team/edited/edit/")
    assert answer.headers["location"] == f"/create/?namespace=team&build={build_id}"
    area = html["developer"].get(answer.headers["location"]).text.split("<textarea")[1]
    assert "name: edited" in area
    assert "<h1>Edit team / edited</h1>" in html["developer"].get(answer.headers["location"]).text
    refused = html["developer"].post(
        "/create/",
        data={"namespace": "team", "build": str(build_id), "specification": "name: edited\ndependencies: [5]"},
    )
    assert "<h1>Edit team / edited</h1>" in refused.text
    assert "<h1>Create an environment</h1>" in html["viewer"].post("/create/", data={"build": "9" * 17}).text
    assert "- numpy" in area
    assert html["viewer"].get("/environment/team/edited/edit/").status_code == 403


def test_two_who_edit_learn_of_each_other(service: Service, html: dict[str, httpx.Client]) -> None:
    build_id = service.build("team", "shared", "zlib")

    def opened(token: str) -> dict[str, str]:
        page = html[token].get("/create/", params={"namespace": "team", "build": build_id}).text
        seen = re.search(r'name="newest_seen" value="(\d*)"', page)
        assert seen is not None
        text = f"name: shared\nchannels: [forge]\ndependencies: [zlib, {token}]"
        return {"namespace": "team", "specification": text, "newest_seen": seen[1]}

    first, second = opened("owner"), opened("developer")
    asked = {"build": build_id, "newest_seen": build_id}
    assert "open for editing" in html["owner"].get("/create/newer/", params=asked).text
    assert "open for editing" not in html["viewer"].get("/create/newer/", params=asked).text
    theirs = html["owner"].post("/create/", data=first)
    assert theirs.status_code == 303
    assert "open for editing" not in html["developer"].get("/create/newer/", params=asked).text
    newest = theirs.headers["location"].split("/")[2]
    answer = html["developer"].post("/create/", data=second)
    assert answer.status_code == 409
    assert f"build {newest} of team/shared was submitted while you were editing" in answer.text
    assert "zlib, developer" in answer.text.split("<textarea")[1]
    assert 'name="newest_seen" value=""' in answer.text
    assert html["developer"].post("/create/", data=second | {"newest_seen": ""}).status_code == 303
    while service.work():
        pass


def test_the_way_to_a_package_is_shown(service: Service, html: dict[str, httpx.Client]) -> None:
    build_id = service.build("team", "ways", "zlib")
    assert '<td class="small">asked for</td>' in html["viewer"].get(f"/build/{build_id}/").text


def test_commands_fit_the_environment(service: Service, html: dict[str, httpx.Client]) -> None:
    build_id = service.build("team", "kernel", "python", "ipykernel")
    page = html["viewer"].get("/environment/team/kernel/").text
    assert 'data-copy="docker run -it --rm localhost:8080/team/kernel python"' in page
    assert "-- python -m ipykernel install --user --name kernel" in page
    assert f'<a href="/build/{build_id}/#packages">2<span' in page
    assert 'data-copy="localhost:8080/team/kernel"' in page
    image = f"localhost:8080/team/kernel:{key_of(html['viewer'], build_id)}"
    build_page = html["viewer"].get(f"/build/{build_id}/").text
    assert f'data-copy="docker run -it --rm {image} python"' in build_page
    assert f'data-copy="{image}"' in build_page
    service.build("team", "Big&$x", "zlib")
    page = html["viewer"].get("/environment/team/Big%26$x/").text
    assert "docker run" not in page, "no image can be called like this"
    assert "ipykernel install" not in page
    assert "conda-store run &#39;team/Big&amp;$x&#39; -- python" in page, "the shell must not read the name"


def test_a_build_that_waits_says_what_for(tmp_path: Path) -> None:
    with Service(tmp_path) as service, service.client("owner") as client:
        first, second, third = (service.submit("team", "waits", "zlib") for _ in range(3))

        def told(build_id: int) -> str:
            found = re.search('id="progress-text"[^>]*>([^<]*)<', client.get(f"/build/{build_id}/").text)
            assert found is not None
            return found[1]

        assert told(first).startswith("Waiting for a worker. None is building anything:")
        assert told(third) == "Waiting for a worker. 2 builds come first."
        with service.context.database.write() as connection:
            lease = leases.claim(connection, "worker-1", timedelta(minutes=1))
            assert lease is not None
        assert told(first) == "Working."
        assert told(second) == "Waiting for a worker. It comes next; 1 is being built."
        with service.client("admin") as admin:
            quota = {"quota_concurrent_builds": 1}
            assert admin.put("/api/v1/setting/team/", json=quota).status_code == 200
        assert told(second).startswith("Waiting for a build of this namespace to end:")
        with service.context.database.write() as connection:
            leases.queue_again(connection, lease, timedelta(minutes=1), "the channel does not answer")
        assert told(second) == "Waiting for a worker. 1 build comes first."
        assert (
            "It is tried again by itself. The last time: the channel does not answer"
            in client.get(f"/build/{first}/").text
        )


def test_namespaces_are_made_and_deleted_by_name(service: Service, html: dict[str, httpx.Client]) -> None:
    client = html["admin"]
    assert "The namespace has been created." in follow(client.post("/namespace/", data={"namespace": "made"}), client)
    assert client.post("/namespace/", data={"namespace": "made"}).status_code == 409
    assert client.post("/namespace/", data={"namespace": "a/b"}).status_code == 400
    assert html["viewer"].post("/namespace/", data={"namespace": "mine"}).status_code == 403
    assert client.post("/namespace/made/delete/", data={"typed": ""}).status_code == 400
    answer = client.post("/namespace/made/delete/", data={"typed": "made"})
    assert "The namespace has been deleted." in follow(answer, client)
    assert "Create Namespace" not in html["viewer"].get("/namespace/").text


def test_settings_are_changed_at_their_level(service: Service, html: dict[str, httpx.Client]) -> None:
    service.make_namespaces("team")
    assert set(TEXTS) == SETTING_NAMES
    client = html["owner"]
    page = client.get("/setting/team/").text
    assert page.count("<input") == len(SETTING_NAMES)
    assert page.count("readonly") == len(GLOBAL_ONLY) + len(DEPLOYMENT_DECIDES)
    answer = client.post("/setting/team/", data={"conda_default_channels": '["forge"]', "conda_required_packages": "5"})
    assert answer.status_code == 400
    assert "a list of strings is needed" in answer.text
    assert client.post("/setting/team/", data={"conda_channel_alias": '"http://evil"'}).status_code == 403
    answer = client.post("/setting/team/", data={"conda_default_channels": "[forge"})
    assert (answer.status_code, "is not JSON" in answer.text, "[forge" in answer.text) == (400, True, True)
    follow(client.post("/setting/team/", data={"conda_default_channels": '["forge"]'}), client)
    assert data(client.get("/api/v1/setting/team/"))["conda_default_channels"] == ["forge"]
    assert client.post("/setting/", data={"storage_threshold": "1"}).status_code in {403, 404}
    assert 'name="conda_default_channels"' in html["developer"].get("/setting/team/").text
    assert html["developer"].post("/setting/team/", data={"conda_default_channels": "[]"}).status_code == 403
    assert html["viewer"].get("/setting/team/").status_code == 403


def test_the_page_of_the_user(service: Service, html: dict[str, httpx.Client]) -> None:
    service.build("team", "used", "zlib")
    page = html["developer"].get("/user/").text
    for text in (
        "Logout",
        "Permissions",
        "team/*",
        "create or change an environment",
        "System storage",
        'data-label="Builds"',
    ):
        assert text in page


def test_the_system_at_a_glance(service: Service, html: dict[str, httpx.Client]) -> None:
    failed = service.build("team", "glance-failed", "missing-glance")
    waiting = service.submit("team", "glance-waiting", "zlib")
    page = html["viewer"].get("/system/").text
    assert "Queue of the last day" in page
    assert f'href="/build/{waiting}/"' in page.split('id="waiting"')[1].split('id="failed"')[0]
    assert f'href="/build/{failed}/"' in page.split('id="failed"')[1]
    assert "missing-glance" in page
    assert "glance" not in html[""].get("/system/").text
    assert html[""].get("/design/").status_code == 200
    service.work()


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ("/admin/", "/"),
        ("/admin/?search=x", "/?search=x"),
        ("/admin/environment/team/a%3Fb/", "/environment/team/a%3Fb/"),
        ("/admin/build/3/", "/build/3/"),
        ("/admin//evil.example/", "/evil.example/"),
        ("/ui/", "/"),
        ("/ui/team/science", "/environment/team/science/"),
        ("/ui/team/new-environment", "/create/?namespace=team"),
        ("/ui/not-found", "/"),
    ],
)
def test_former_paths_lead_to_the_pages(anonymous: httpx.Client, former: str, present: str) -> None:
    answer = anonymous.get(former)
    assert (answer.status_code, answer.headers["location"]) == (307, present)


def test_what_is_not_there_is_a_page_for_people(html: dict[str, httpx.Client], anonymous: httpx.Client) -> None:
    answer = html["admin"].get("/nothing/here/")
    assert (answer.status_code, "Not found" in answer.text) == (404, True)
    assert anonymous.get("/nothing/here/").json() == {"detail": "Not Found"}
    assert html["admin"].get("/api/v1/nothing/").json() == {"detail": "Not Found"}
    assert html["admin"].get("/build/999999/").status_code == 404


def test_what_is_typed_is_not_lost_with_the_login(service: Service) -> None:
    """Whatever form is sent after the login has ended comes back, to be sent again; secrets have to be typed again."""
    service.build("team", "typed", "zlib")
    forms = {
        "/environment/team/typed/description/": {"description": f"words {MARK}"},
        "/namespace/team/metadata/": {"metadata": '{"room": 1}'},
        "/setting/team/": {"conda_default_channels": '["forge"]'},
        "/user/token/": {"name": "laptop", "days": "7"},
        "/namespace/team/credential/": {
            "host": "h.example",
            "kind": "basic",
            "username": "ada",
            "secret": "planted-7153",
        },
    }
    with service.client() as browser, service.client() as again:
        browser.headers["Accept"] = again.headers["Accept"] = "text/html"
        again.get("/login/", params={"token": "owner"})
        for path, form in forms.items():
            answer = browser.post(path, data=form)
            assert answer.status_code in {401, 403, 404}, path
            assert "Your login has ended" in answer.text, path
            assert not Planted(answer.text).found
            assert "planted-7153" not in answer.text
            found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', answer.text)
            kept = {name: unescape(value) for name, value in found}
            assert kept == {name: value for name, value in form.items() if name != "secret"}
            sent = again.post(path, data=kept | ({"secret": "typed-again"} if "secret" in form else {}))
            assert sent.status_code in {200, 303}, path
        created = browser.post("/create/", data={"namespace": "team", "specification": "name: kept"})
        assert "name: kept" in created.text
        assert "what you typed stays here" in created.text
        again.post("/namespace/team/metadata/", data={"metadata": "{}"})
        again.post("/namespace/team/credential/remove/", data={"host": "h.example"})


class Broken(Channel):
    def search(self, query: PackageQuery) -> PackagePage:
        raise ZeroDivisionError("planted-7154")


def test_every_failure_is_a_page(tmp_path: Path) -> None:
    with Service(tmp_path) as service, service.client() as client:
        client.headers["Accept"] = "text/html"
        client.get("/login/", params={"token": "admin"})
        service.context.packages.search = Broken().search  # type: ignore[method-assign]
        crashed = client.get("/create/packages/", params={"package": "zlib"}, headers={"X-Request-ID": "my-request"})
        assert crashed.status_code == 500
        assert "request my-request" in crashed.text
        assert "planted-7154" not in crashed.text
        for path in ("/build/abc/", "/?page=0", "/build/99999999999999999999/", "/user/token/x/revoke/"):
            answer = client.get(path)
            assert (answer.status_code, "<h1>Not found</h1>" in answer.text) == (404, True), path


def test_the_form_offers_every_format_that_can_be_read() -> None:
    assert set(FORMATS) - {""} == set(READ)


def test_nothing_that_users_write_becomes_markup(service: Service, html: dict[str, httpx.Client]) -> None:
    """A mark in every field that takes any text; names take neither brackets nor quotes, but `&`."""
    name = "mark&amp$"
    mark = json.dumps(MARK)
    text = f"name: {name}\nchannels: [forge]\ndescription: {mark}\ndependencies: [zlib]\nvariables: {{A: {mark}}}\n"
    client = html["admin"]
    answer = client.post("/create/", data={"namespace": "marked", "specification": text})
    assert answer.status_code == 303, answer.text
    build_id = int(answer.headers["location"].split("/")[2])
    service.work()
    failed = service.submit("marked", "failing", "missing-<b>x")
    service.work()
    waiting = service.submit("marked", name, "zlib")
    with service.context.database.write() as connection:
        connection.execute(update(build).values(submitted_by=MARK, status_info=MARK))
    client.put("/api/v1/setting/marked/", json={"conda_default_channels": [MARK]})
    paths = [
        "/",
        f"/?search={MARK}&namespace={MARK}&status={MARK}&said={MARK}",
        f"/environment/marked/{name}/".replace("&", "%26"),
        f"/environment/marked/{name}/difference/?before={build_id}&after={build_id}".replace("&amp$", "%26amp$"),
        f"/environment/marked/{name}/delete/".replace("&amp$", "%26amp$"),
        f"/build/{build_id}/",
        f"/build/{failed}/",
        f"/build/{waiting}/",
        f"/build/{failed}/delete/",
        "/system/",
        "/namespace/marked/delete/",
        f"/environment/marked/{name}/use/".replace("&", "%26"),
        f"/?search=zlib%3E1{MARK}",
        "/create/policy/?namespace=marked",
        f"/create/policy/?namespace={MARK}",
        f"/create/packages/?package={MARK}&namespace={MARK}",
        f"/create/newer/?build={build_id}&newest_seen={build_id}",
        f"/documentation/{MARK}",
        f"/create/?build={build_id}&namespace={MARK}",
        "/setting/marked/",
        "/namespace/",
        f"/login/?next=/{MARK}",
        f"/environment/{MARK}/x/",
        f"/nothing/{MARK}/?x={MARK}",
        "/user/",
    ]
    pages = [client.get(path) for path in paths]
    form = {"specification": f"{MARK}: [", "namespace": MARK, "name": MARK, "description": MARK, "format": MARK}
    pages += [client.post(path, data=form) for path in ("/create/", "/create/check/", "/create/preview/")]
    unsolvable = {
        "namespace": "marked",
        "specification": "name: a\ndependencies: ['clash-a[b=\"<b>\"]', clash-b=<img>]",
    }
    pages += [client.post(path, data=unsolvable) for path in ("/create/preview/", "/create/suggestions/")]
    pages.append(client.post("/setting/marked/", data={"conda_default_channels": MARK}))
    pages.append(client.post("/namespace/", data={"namespace": MARK}))
    pages.append(client.post("/login/", data={"password": MARK, "next": MARK, "username": MARK}))
    marked = 0
    for page in pages:
        assert page.status_code in {200, 400, 403, 404}, (page.url, page.status_code)
        assert not Planted(page.text).found, page.url
        marked += "&lt;img" in page.text
    assert marked >= 15, "the marks did get into the pages"


def test_pages_stay_small_with_many_environments(service: Service, html: dict[str, httpx.Client]) -> None:
    _fill(service, 10_000)
    client = html["admin"]
    page = client.get("/")
    assert len(page.content) <= 60_000
    count = int(re.search(r"(\d+) environments", page.text)[1])  # type: ignore[index]
    assert count >= 10_000
    last = client.get("/", params={"page": -(-count // 40)})
    assert last.status_code == 200
    assert 'rel="prev"' in last.text
    assert 'rel="next"' not in last.text
    assert 'rel="next"' in page.text
    beyond = client.get("/", params={"page": 10**6}).text
    assert f'page={-(-count // 40)}" rel="prev"' in beyond
    assert '<a href="/namespace/" rel="prev"' in client.get("/namespace/", params={"page": 2}).text.replace(
        "?page=1", ""
    )
    assert len(client.get("/", params={"search": "many"}).content) <= 60_000
    assert len(client.get("/environment/many/many-00000/").content) <= 60_000


def _fill(service: Service, count: int) -> None:
    long = "A description that says at some length what the environment is for, as people write them. " * 3
    with service.context.database.write() as connection:
        home = namespaces.create(connection, "many")
        now = datetime.now(UTC)
        stored = specifications.ensure(connection, Specification("many", ("forge",), ("zlib",)), now)
        for number in range(count):
            made = environments.create(connection, home, f"many-{number:05}", long)
            environments.set_current(connection, made.id, builds.create(connection, made, stored, now, 2))
