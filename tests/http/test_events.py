from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from conda_store.client.server_sent import EventParser, ServerSentEvent
from conda_store.db import leases, logs
from conda_store.db.leases import Lease
from conda_store.domain.access import SYSTEM
from conda_store.domain.build import BuildStatus, Phase, Progress
from conda_store.services import builds, environments
from conda_store.services.logs import keep_log
from tests.http.service import Service, refused
from tests.waiting import PATIENCE


def events(client: httpx.Client, build_id: int, **options: Any) -> Iterator[ServerSentEvent]:
    parser = EventParser()
    with client.stream("GET", f"/api/v1/build/{build_id}/events/", **options) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        for piece in answer.iter_bytes():
            yield from parser.feed(piece)


def text_of(found: list[ServerSentEvent]) -> str:
    return "".join(json.loads(event.data)["text"] for event in found if event.event == "log")


def claimed(service: Service, build_id: int) -> Lease:
    """A worker takes the build, and all that wait before it."""
    while True:
        with service.context.database.write() as connection:
            lease = leases.claim(connection, "worker-1", service.context.deployment.lease)
        assert lease is not None
        if lease.build_id == build_id:
            return lease


def write(service: Service, build_id: int, text: str) -> None:
    with service.context.database.write() as connection:
        logs.append(connection, build_id, text)


def test_progress_and_log_come_while_they_happen(service: Service, admin: httpx.Client) -> None:
    build_id = service.submit("events", "one", "zlib")
    found = events(admin, build_id)
    first = next(found)
    assert first.event == "progress"
    assert json.loads(first.data) == {
        "status": "QUEUED", "phase": "queued", "packages_done": 0, "packages_total": 0, "bytes_done": 0,
        "bytes_total": 0, "packages_linked": 0, "remaining": [], "status_info": None,
    }  # fmt: skip
    lease = claimed(service, build_id)
    assert json.loads(next(found).data)["status"] == "BUILDING"
    write(service, build_id, "first line\n")
    line = next(found)
    assert (line.event, json.loads(line.data), line.id) == ("log", {"text": "first line\n"}, "11")
    with service.context.database.write() as connection:
        leases.note(connection, lease, {"progress": Progress(Phase.LINKING, 3, 7, 10, 20, 2, ("zlib",)).dump()})
    progress = json.loads(next(found).data)
    assert (progress["packages_linked"], progress["remaining"]) == (2, ["zlib"])
    assert (progress["phase"], progress["packages_done"], progress["bytes_total"]) == ("linking", 3, 20)
    with service.context.database.write() as connection:
        logs.append(connection, build_id, "it broke: ünïcode\r\n\x85\n")
        leases.end(connection, lease, BuildStatus.FAILED, "it broke")
    keep_log(service.context, build_id)
    rest = list(found)
    assert [event.event for event in rest] == ["log", "progress", "end"]
    assert text_of(rest) == "it broke: ünïcode\r\n\x85\n"
    assert json.loads(rest[-1].data) == {"status": "FAILED", "status_info": "it broke"}


def test_a_build_that_has_ended_is_told_whole(service: Service, admin: httpx.Client) -> None:
    build_id = service.build("events", "two", "zlib")
    found = list(events(admin, build_id))
    assert [event.event for event in found] == ["log", "progress", "end"]
    assert text_of(found) == admin.get(f"/api/v1/build/{build_id}/logs/", follow_redirects=True).text
    assert json.loads(found[-1].data)["status"] == "COMPLETED"
    assert found[0].id == str(len(text_of(found)))


def test_without_logs_there_are_none(service: Service, admin: httpx.Client) -> None:
    build_id = service.build("events", "three", "zlib")
    found = list(events(admin, build_id, params={"logs": "false"}))
    assert [event.event for event in found] == ["progress", "end"]


@pytest.mark.parametrize("is_kept", [False, True], ids=["chunks", "blob"])
def test_after_an_interruption_the_log_goes_on_where_it_was(
    service: Service, admin: httpx.Client, is_kept: bool
) -> None:
    build_id = service.submit("events", f"again-{is_kept}", "zlib")
    lease = claimed(service, build_id)
    write(service, build_id, "one\n")
    write(service, build_id, "two\n")
    seen = ""
    for event in events(admin, build_id):
        if event.event == "log":
            seen = event.id
            break
    assert seen == "8"
    write(service, build_id, "three\n")
    if is_kept:
        with service.context.database.write() as connection:
            leases.end(connection, lease, BuildStatus.FAILED, "enough")
        keep_log(service.context, build_id)
        found = list(events(admin, build_id, headers={"Last-Event-ID": seen}))
    else:
        stream = events(admin, build_id, headers={"Last-Event-ID": seen})
        found = list(itertools.islice(stream, 2))
        stream.close()  # type: ignore[attr-defined]
    assert text_of(found) == "three\n"


@pytest.mark.parametrize("last_id", ["x", "-1", "99999999", "9" * 400, "1.5"])
def test_ids_that_are_none_do_no_harm(service: Service, admin: httpx.Client, last_id: str) -> None:
    build_id = service.build("events", "ids", "zlib")
    assert list(events(admin, build_id, headers={"Last-Event-ID": last_id}))[-1].event == "end"


def test_many_may_follow(service: Service) -> None:
    build_id = service.submit("events", "many", "zlib")
    texts: list[str] = []

    def follow() -> None:
        with service.client("admin") as client:
            texts.append(text_of(list(events(client, build_id))))

    threads = [threading.Thread(target=follow) for _ in range(12)]
    for thread in threads:
        thread.start()
    while service.work():
        pass
    for thread in threads:
        thread.join(PATIENCE)
    assert len(texts) == 12
    assert len(set(texts)) == 1
    assert "Executing transaction:" in texts[0]


def test_when_the_build_is_deleted_the_stream_ends(service: Service, admin: httpx.Client) -> None:
    build_id = service.submit("events", "deleted", "zlib")
    found = events(admin, build_id)
    next(found)
    environments.delete_environment(service.context, SYSTEM, "events", "deleted")
    with pytest.raises(Exception, match="does not exist"):
        builds.find_build(service.context, SYSTEM, build_id)
    assert [event.event for event in found][-1:] == ["end"]


def test_a_heartbeat_keeps_the_connection(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Service(tmp_path_factory.mktemp("h"), heartbeat=0.05) as service, service.client("admin") as client:
        build_id = service.submit("events", "quiet", "zlib")
        received = b""
        with client.stream("GET", f"/api/v1/build/{build_id}/events/") as answer:
            for piece in answer.iter_bytes():
                received += piece
                if received.count(b": still here\n\n") >= 2:
                    break
        assert b"retry: 1000\n\n" in received


def test_only_readers_may_follow(service: Service) -> None:
    build_id = service.submit("events", "hidden", "zlib")
    with service.client("stranger") as client:
        assert refused(client.get(f"/api/v1/build/{build_id}/events/"), 404) == "build id does not exist"
