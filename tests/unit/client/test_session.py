import json
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from conda_store.client.uri import EnvironmentName, parse_uri
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.build import BuildStatus
from conda_store.errors import BuildFailed, InvalidInput, ServerError

BUILD = {
    "id": 7,
    "environment_id": 1,
    "specification": {"id": 1, "name": "env1", "spec": {}, "sha256": "ab", "created_on": "2026-11-21T03:27:27.905385"},
    "packages": None,
    "status": "COMPLETED",
    "status_info": None,
    "size": 12345678,
    "scheduled_on": "2026-11-21T03:27:27.939424",
    "started_on": "2026-11-21T03:28:00",
    "ended_on": None,
    "build_artifacts": [{"id": 1, "artifact_type": "LOGS", "key": "logs/x.log"}],
}
ENVIRONMENT = {
    "id": 1,
    "namespace": {"id": 3, "name": "ns2", "metadata_": {}, "role_mappings": []},
    "name": "env1",
    "current_build_id": 7,
    "current_build": None,
    "description": None,
}


def data(value: object) -> httpx.Response:
    return httpx.Response(200, json={"status": "ok", "data": value, "message": None})


def test_a_build_is_read_with_times_in_utc(converse: Callable) -> None:
    build = converse(lambda request: data(BUILD)).session.build(7)
    assert build.status is BuildStatus.COMPLETED
    assert build.scheduled_on == datetime(2026, 11, 21, 3, 27, 27, 939424, tzinfo=UTC)
    assert build.ended_on is None
    assert build.artifacts == {"LOGS"}
    assert build.raw == BUILD


def test_every_page_is_read(converse: Callable) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        page, size = int(request.url.params["page"]), int(request.url.params["size"])
        rows = [{"id": n, "name": f"n{n}"} for n in range(250)][(page - 1) * size : page * size]
        return httpx.Response(200, json={"data": rows, "page": page, "size": size, "count": 250})

    talk = converse(handler)
    assert [namespace.id for namespace in talk.session.namespaces()] == list(range(250))
    assert len(talk.requests) == 3


def test_a_page_without_rows_ends_the_list_whatever_the_count(converse: Callable) -> None:
    talk = converse(lambda request: httpx.Response(200, json={"data": [], "count": 5}))
    assert list(talk.session.namespaces()) == []


def test_filters_are_sent_as_the_server_knows_them(converse: Callable) -> None:
    talk = converse(lambda request: httpx.Response(200, json={"data": [], "count": 0}))
    list(talk.session.environments(status="COMPLETED", artifact="CONDA_PACK", packages=["dask", "zlib"]))
    list(talk.session.builds(environment=EnvironmentName("a", "b&c")))
    assert talk.requests[0].url.params.multi_items() == [
        ("status", "COMPLETED"),
        ("artifact", "CONDA_PACK"),
        ("packages", "dask"),
        ("packages", "zlib"),
        ("page", "1"),
        ("size", "100"),
    ]
    assert talk.requests[1].url.params["name"] == "b&c"


def test_a_token_is_asked_for_with_an_expiration_that_has_a_zone(converse: Callable) -> None:
    talk = converse(lambda request: data({"token": "T"}))
    end = datetime(2030, 1, 1, tzinfo=UTC)
    assert talk.session.create_token("ns", {"ns/*": ["viewer"]}, end) == "T"
    assert json.loads(talk.requests[0].content) == {
        "primary_namespace": "ns",
        "role_bindings": {"ns/*": ["viewer"]},
        "expiration": "2030-01-01T00:00:00+00:00",
    }


def test_a_specification_is_handed_in_with_what_was_given_only(converse: Callable) -> None:
    talk = converse(lambda request: data({"build_id": 3}))
    assert talk.session.create_environment("name: x") == 3
    assert json.loads(talk.requests[0].content) == {"specification": "name: x", "namespace": None}
    talk.session.create_environment(
        "{}", namespace="n", name="x", description="d", format="conda-lock", is_lockfile=True
    )
    assert json.loads(talk.requests[1].content) == {
        "specification": "{}",
        "namespace": "n",
        "environment_name": "x",
        "environment_description": "d",
        "format": "conda-lock",
        "is_lockfile": True,
    }


def by_path(request: httpx.Request) -> httpx.Response:
    return data(ENVIRONMENT if "/environment/" in request.url.path else BUILD)


@pytest.mark.parametrize("uri", ["7", "ns2/env1", "ns2/env1:7"])
def test_a_uri_leads_to_its_build(converse: Callable, uri: str) -> None:
    assert converse(by_path).session.find_build(parse_uri(uri)).id == 7


def test_a_build_of_another_environment_is_refused(converse: Callable) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return data(ENVIRONMENT | {"id": 2} if "/environment/" in request.url.path else BUILD)

    with pytest.raises(InvalidInput, match="build 7 does not belong to environment ns2/env1"):
        converse(handler).session.find_build(parse_uri("ns2/env1:7"))


def test_names_are_escaped_in_paths(converse: Callable) -> None:
    talk = converse(by_path)
    talk.session.environment(EnvironmentName("a?b", "c&d"))
    assert talk.requests[0].url.raw_path == b"/prefix/api/v1/environment/a%3Fb/c%26d/"


def test_solved_packages_are_read_in_either_spelling_of_the_channel(converse: Callable) -> None:
    rows = [
        {"name": "a", "version": "1", "channel_id": 3, "size": 10},
        {"name": "b", "version": "2", "channel": "conda-forge", "size": None},
    ]
    talk = converse(lambda request: httpx.Response(200, json={"solve": rows}))
    packages = talk.session.solve(["conda-forge"], ["a", "b >=2"], [])
    assert [(package.name, package.channel, package.size) for package in packages] == [
        ("a", "3", 10),
        ("b", "conda-forge", 0),
    ]
    assert talk.requests[0].url.params.get_list("conda") == ["a", "b >=2"]


class Clock:
    """Time that passes by pauses only."""

    def __init__(self, pauses: list[float]) -> None:
        self._pauses = pauses

    def __call__(self) -> float:
        return sum(self._pauses)


def test_waiting_looks_less_and_less_often(converse: Callable) -> None:
    states = iter(["QUEUED", "BUILDING", "BUILDING", "BUILDING", "BUILDING", "BUILDING", "COMPLETED"])
    talk = converse(lambda request: data(BUILD | {"status": next(states)}))
    talk.session.wait(7, timeout=600, interval=5, clock=Clock(talk.pauses))
    assert talk.pauses == [0.5, 1, 2, 4, 5, 5]


def test_waiting_ends_at_the_time_out(converse: Callable) -> None:
    talk = converse(lambda request: data(BUILD | {"status": "BUILDING"}))
    with pytest.raises(ServerError, match="Build 7 failed to complete in 4 seconds"):
        talk.session.wait(7, timeout=4, interval=10, clock=Clock(talk.pauses))
    assert sum(talk.pauses) == 4


@pytest.mark.parametrize(("status", "text"), [("FAILED", "Build 7 failed"), ("CANCELED", "Build 7 was canceled")])
def test_waiting_ends_with_a_build_that_will_not_complete(converse: Callable, status: str, text: str) -> None:
    talk = converse(lambda request: data(BUILD | {"status": status, "status_info": "no such package"}))
    with pytest.raises(BuildFailed, match=text):
        talk.session.wait(7, timeout=4, interval=1)


def test_waiting_for_an_artifact_has_it_made(converse: Callable) -> None:
    made: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/archive/"):
            made.append("CONDA_PACK")
            return httpx.Response(503, headers={"retry-after": "1"})
        return data(BUILD | {"build_artifacts": [{"artifact_type": kind} for kind in made]})

    talk = converse(handler)
    build = talk.session.wait(7, timeout=60, interval=1, artifact=ArtifactType.CONDA_PACK, clock=Clock(talk.pauses))
    assert build.artifacts == {"CONDA_PACK"}


def test_waiting_for_an_artifact_that_cannot_be_made_ends(converse: Callable) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/installer/"):
            return httpx.Response(409, json={"message": "the installer of build 7 could not be made: disk full"})
        return data(BUILD)

    with pytest.raises(ServerError, match="disk full"):
        converse(handler).session.wait(7, timeout=60, interval=1, artifact=ArtifactType.CONSTRUCTOR_INSTALLER)
