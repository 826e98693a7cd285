from __future__ import annotations

import io
import tarfile
import threading

import httpx
import pytest

from conda_store.domain.platform import current_platform
from tests.http.service import Service, data, refused
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def build_id(service: Service) -> int:
    return service.build("files", "one", "zlib", "numpy=1.26")


def packed(service: Service, client: httpx.Client, path: str) -> httpx.Response:
    """The answer of a route that waits, with a worker that makes what is asked for meanwhile."""
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(client.get(path)))
    thread.start()

    def look() -> httpx.Response | None:
        service.pack()
        return answers[0] if answers else None

    return wait_for("the answer", look)


def test_a_log_is_text_while_it_is_written_and_a_blob_afterwards(service: Service, admin: httpx.Client) -> None:
    waiting = service.submit("files", "logged", "zlib")
    path = f"/api/v1/build/{waiting}/logs/"
    assert (admin.get(path).status_code, admin.get(path).text) == (200, "")
    while service.work():
        pass
    moved = admin.get(path)
    assert moved.status_code == 307
    assert moved.headers["location"].startswith("/storage/logs/")
    followed = admin.get(path, follow_redirects=True)
    assert followed.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Preparing transaction:" in followed.text
    assert "Executing transaction:" in followed.text


@pytest.mark.parametrize(
    ("artifact", "folder", "suffix", "content_type"),
    [
        ("yaml", "yaml", ".yml", "text/yaml; charset=utf-8"),
        ("lockfile", "lockfile", ".yml", "application/json"),
        ("conda-lock.yml", "lockfile", ".yml", "application/json"),
        ("conda-lock.yaml", "lockfile", ".yml", "application/json"),
    ],
)
def test_artifacts_are_redirected_to(
    build_id: int, admin: httpx.Client, artifact: str, folder: str, suffix: str, content_type: str
) -> None:
    path = f"/api/v1/build/{build_id}/{artifact}"
    answer = admin.get(path if "." in artifact else f"{path}/")
    assert answer.status_code == 307
    location = answer.headers["location"]
    assert location.startswith(f"/storage/{folder}/") and location.endswith(f"-{build_id}-one{suffix}")
    blob = admin.get(location)
    assert (blob.status_code, blob.headers["content-type"]) == (200, content_type)
    assert blob.headers["content-disposition"] == f'inline; filename="{location.rpartition("/")[2]}"'


@pytest.mark.parametrize("tail", ["lockfile/", "conda-lock.yml", "conda-lock.yaml"])
def test_an_environment_has_the_lockfile_of_its_current_build(build_id: int, admin: httpx.Client, tail: str) -> None:
    answer = admin.get(f"/api/v1/environment/files/one/{tail}")
    assert answer.headers["location"] == admin.get(f"/api/v1/build/{build_id}/lockfile/").headers["location"]
    assert refused(admin.get(f"/api/v1/environment/files/none/{tail}"), 404) == "environment does not exist"


def test_the_lock_in_other_forms(build_id: int, admin: httpx.Client) -> None:
    path = f"/api/v1/build/{build_id}/lockfile/"
    explicit = admin.get(path, params={"format": "explicit"})
    assert explicit.headers["content-type"] == "text/plain; charset=utf-8"
    assert explicit.text.startswith(f"# platform: {current_platform()}\n@EXPLICIT\nhttps://")
    assert admin.get(path, params={"format": "legacy"}).text.startswith(f"#platform: {current_platform()}\n@EXPLICIT")
    narrowed = admin.get(path, params={"platform": current_platform()})
    assert narrowed.json()["metadata"]["platforms"] == [current_platform()]
    assert admin.get(path, params={"format": "pixi"}).text.startswith("version:")
    assert "not solved for" in refused(admin.get(path, params={"platform": "win-64"}), 404)
    assert admin.get(path, params={"format": "x"}).status_code == 422


def test_an_archive_is_made_when_it_is_asked_for(build_id: int, service: Service, admin: httpx.Client) -> None:
    path = f"/api/v1/build/{build_id}/archive/"
    moved = packed(service, admin, path)
    assert moved.status_code == 307
    blob = admin.get(moved.headers["location"])
    assert blob.headers["content-type"] == "application/gzip"
    assert blob.headers["content-disposition"].startswith("attachment; filename=")
    with tarfile.open(fileobj=io.BytesIO(blob.content)) as archive:
        assert "bin/activate" in {name.removeprefix("./") for name in archive.getnames()}
    assert admin.get(path).status_code == 307, "nobody makes it again"


def test_an_installer_is_made_when_it_is_asked_for(build_id: int, service: Service, admin: httpx.Client) -> None:
    moved = packed(service, admin, f"/api/v1/build/{build_id}/installer/")
    blob = admin.get(moved.headers["location"])
    assert blob.headers["content-type"] == "application/octet-stream"
    assert blob.content.startswith(b"#!/bin/sh")


def test_who_waits_for_too_long_is_told_to_come_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Service(tmp_path_factory.mktemp("w"), packing_wait=0.2) as service, service.client("admin") as client:
        build_id = service.build("slow", "one", "zlib")
        answer = client.get(f"/api/v1/build/{build_id}/archive/")
        assert "still being made" in refused(answer, 503)
        assert int(answer.headers["retry-after"]) > 0


def test_what_is_not_there_is_said(service: Service, admin: httpx.Client) -> None:
    waiting = service.submit("files", "not-yet", "zlib")
    for artifact in ("yaml", "lockfile", "archive"):
        assert "yet" in refused(admin.get(f"/api/v1/build/{waiting}/{artifact}/"), 404)
    installer = admin.get(f"/api/v1/build/{waiting}/installer/")
    assert refused(installer, 400) == f"Build {waiting} doesn't have an installer"
    image = admin.get(f"/api/v1/build/{waiting}/docker/")
    assert refused(image, 400) == f"Build {waiting} doesn't have a docker manifest"
    assert refused(admin.get(f"/api/v1/build/{waiting}/lockfile/?format=explicit"), 404)


def test_blobs_are_for_those_who_may_read_the_environment(build_id: int, service: Service, admin: httpx.Client) -> None:
    location = admin.get(f"/api/v1/build/{build_id}/lockfile/").headers["location"]
    for token in (None, "viewer", "stranger"):
        with service.client(token) as client:
            assert refused(client.get(location), 404) == "no such file"


@pytest.mark.parametrize(
    "key",
    ["", "x", "logs/x.log", "logs/../../etc/passwd.log", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd",
     "logs/..%5cx.log", "logs//x.log", f"logs/{'k' * 3000}.log", "archive/%FF.tar.gz"],
)  # fmt: skip
def test_other_keys_are_no_files(admin: httpx.Client, key: str) -> None:
    assert admin.get(f"/storage/{key}").status_code == 404


def test_zero_bytes_are_refused(admin: httpx.Client) -> None:
    assert "zero byte" in refused(admin.get("/storage/logs/%00.log"), 400)
    assert "zero byte" in refused(admin.get("/api/v1/build/?name=%00"), 400)


class TestRanges:
    @pytest.fixture
    def location(self, build_id: int, admin: httpx.Client) -> str:
        return str(admin.get(f"/api/v1/build/{build_id}/lockfile/").headers["location"])

    @pytest.mark.parametrize(
        ("asked", "start", "end"),
        [("bytes=0-9", 0, 10), ("bytes=10-", 10, None), ("bytes=-7", -7, None), ("bytes=5-99999999", 5, None)],
    )
    def test_a_part(self, location: str, admin: httpx.Client, asked: str, start: int, end: int | None) -> None:
        whole = admin.get(location).content
        answer = admin.get(location, headers={"Range": asked})
        assert answer.status_code == 206
        assert answer.content == whole[start:end]
        first = start if start >= 0 else len(whole) + start
        last = first + len(answer.content) - 1
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"

    @pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0", "bytes=9-3"])
    def test_a_part_outside(self, location: str, admin: httpx.Client, asked: str) -> None:
        answer = admin.get(location, headers={"Range": asked})
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{len(admin.get(location).content)}"

    @pytest.mark.parametrize("asked", ["lines=1-2", "bytes=0-1,3-4", "bytes=a-b", "bytes=-"])
    def test_what_is_not_understood_gives_the_whole(self, location: str, admin: httpx.Client, asked: str) -> None:
        assert admin.get(location, headers={"Range": asked}).status_code in {200, 416}

    def test_tags_spare_what_is_known(self, location: str, admin: httpx.Client) -> None:
        tag = admin.get(location).headers["etag"]
        known = admin.get(location, headers={"If-None-Match": f'"other", W/{tag}'})
        assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)
        assert admin.get(location, headers={"If-None-Match": '"other"'}).status_code == 200
        changed = admin.get(location, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
        assert changed.status_code == 200
        same = admin.get(location, headers={"Range": "bytes=0-1", "If-Range": tag})
        assert same.status_code == 206

    def test_a_head_has_the_length(self, location: str, admin: httpx.Client) -> None:
        answer = admin.head(location)
        assert answer.content == b""
        assert answer.headers["accept-ranges"] == "bytes"
        assert int(answer.headers["content-length"]) == len(admin.get(location).content)


def test_an_image_name_needs_an_image(service: Service, build_id: int, admin: httpx.Client) -> None:
    from conda_store.db import artifacts
    from conda_store.domain.artifact import ArtifactType

    with service.context.database.write() as connection:
        artifacts.add(connection, build_id, ArtifactType.DOCKER_MANIFEST, "docker/manifest/x")
    answer = admin.get(f"/api/v1/build/{build_id}/docker/")
    key = data(admin.get(f"/api/v1/build/{build_id}/"))["build_artifacts"][0]["key"]
    stem = key.rpartition("/")[2].removesuffix(".yml")
    assert answer.text == f"localhost:8080/files/one:{stem}"
    assert answer.headers["deprecation"] == "True"
