"""Full disks, and many who want something at the same moment."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from tests.acceptance.holding import held_in
from tests.acceptance.service import API, Service, serving
from tests.disks import small_disk
from tests.waiting import PATIENCE, wait_for
from tools.channel.serve import ChannelServer

SPECIFICATION = "name: env\ndependencies: [two, three]\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, large_channel: ChannelServer) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("s"), conda_default_channels=[large_channel.url]) as service:
        yield service


# --- full disks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", ["environments", "packages", "everything"])
def test_a_full_disk_ends_the_build_and_not_the_service(tmp_path: Path, large: ChannelServer, full: str) -> None:
    with small_disk(tmp_path / "small", 30) as small:
        options: dict[str, object] = {
            "environments": {"store_directory": small / "state", "cache_directory": tmp_path / "cache"},
            "packages": {"cache_directory": small / "cache"},
            "everything": {},
        }[full]
        directory = small / "s" if full == "everything" else tmp_path / "s"
        with serving(directory, conda_default_channels=[large.url], max_build_attempts=2, **options) as service:
            before = service.completed(SPECIFICATION)
            build_id = service.submit("name: big\ndependencies: [big]\n")
            build = service.ended(build_id)
            assert build["status"] == "FAILED"
            assert "no space left" in build["status_info"], build["status_info"]
            assert "attempt 2" in service.log(build_id), "somebody may have made room"
            assert service.http.get(f"{API}/build/{before}/lockfile/").status_code == 200
            service.completed("name: after\ndependencies: [one, two]\n")
            assert "unexpected error" not in service.log(build_id)


def test_a_full_disk_of_the_database_is_the_reason(tmp_path: Path, large: ChannelServer) -> None:
    """Nothing can be written of it while it is full; it is told as soon as there is room."""
    with small_disk(tmp_path / "s" / "data" / "conda-store", 20) as small:
        elsewhere = {"store_directory": tmp_path / "state", "cache_directory": tmp_path / "cache"}
        with serving(tmp_path / "s", conda_default_channels=[large.url], max_build_attempts=1, **elsewhere) as service:
            build_id = service.submit(held_in(large, "downloading"))
            service.in_phase(build_id, "downloading")
            with closing(sqlite3.connect(small / "conda-store.sqlite", timeout=PATIENCE)) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            ballast = small / "ballast"
            with ballast.open("wb", buffering=0) as filling, suppress(OSError):
                while True:
                    filling.write(b"x" * 4096)
            large.faults.clear()
            wait_for("it is noticed", lambda: "ends cannot be written down yet" in service.log_text())
            service.in_phase(build_id, "downloading")
            ballast.unlink()
            build = service.ended(build_id)
            assert build["status"] == "FAILED"
            assert "no space left on the disk of the database" in build["status_info"]
            assert "Make room" in build["status_info"]
            service.completed("name: after\ndependencies: [one, two]\n")


def test_an_archive_for_which_there_is_no_room(tmp_path: Path, large: ChannelServer) -> None:
    with small_disk(tmp_path / "small", 60) as small:
        options = {"store_directory": small / "state", "cache_directory": tmp_path / "cache"}
        with serving(tmp_path / "s", conda_default_channels=[large.url], **options) as service:
            build_id = service.completed("name: big\ndependencies: [big]\n")
            answer = service.http.get(f"{API}/build/{build_id}/archive/")
            assert answer.status_code in {409, 507}
            assert "no room is left" in answer.json()["message"]
            assert service.build(build_id)["status"] == "COMPLETED"
            assert not list((small / "state" / "%packing").iterdir())
            service.completed("name: after\ndependencies: [one, two]\n")


def test_less_room_than_the_operator_wants_free(tmp_path: Path, large: ChannelServer) -> None:
    with serving(tmp_path / "s", conda_default_channels=[large.url], storage_threshold=2**60) as service:
        answer = service.post(SPECIFICATION)
        assert answer.status_code == 400
        assert "storage_threshold" in answer.json()["message"]


# --- many at once ---------------------------------------------------------------------------------------------


def all_at_once(count: int, what: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    start = threading.Barrier(count)

    def one(number: int) -> httpx.Response:
        start.wait(PATIENCE)
        return what(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_twenty_builds_at_once(service: Service) -> None:
    answers = all_at_once(20, lambda number: service.post(f"name: e{number}\ndependencies: [two, three]\n"))
    assert {answer.status_code for answer in answers} == {200}
    found = [service.ended(answer.json()["data"]["build_id"]) for answer in answers]
    assert {build["status"] for build in found} == {"COMPLETED"}
    for build in found:
        assert service.row("SELECT attempt FROM build WHERE id = ?", build["id"]) == (1,)
    for number, build in enumerate(found):
        service.linked_to(build["id"], f"e{number}")
    service.is_clean()


def test_ten_builds_of_one_environment_at_once(service: Service) -> None:
    answers = all_at_once(10, lambda _: service.post("name: same\ndependencies: [two]\n"))
    submitted = sorted(answer.json()["data"]["build_id"] for answer in answers)
    assert len(set(submitted)) == 10
    assert {service.ended(build_id)["status"] for build_id in submitted} == {"COMPLETED"}
    service.linked_to(submitted[-1], "same")
    service.is_clean()


def test_a_new_namespace_for_everybody_at_once(service: Service) -> None:
    answers = all_at_once(8, lambda number: service.post(f"name: e{number}\ndependencies: [one]\n", namespace="new"))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    for answer in answers:
        assert service.ended(answer.json()["data"]["build_id"])["status"] == "COMPLETED"


def test_one_archive_for_all_who_ask(service: Service) -> None:
    build_id = service.completed("name: archived\ndependencies: [big]\n")
    kinds = ["archive", "installer"] * 3
    answers = all_at_once(6, lambda number: service.http.get(f"{API}/build/{build_id}/{kinds[number]}/"))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers[::2]}) == 1
    assert len({answer.content for answer in answers[1::2]}) == 1
    packed = "SELECT attempt FROM build_artifact WHERE build_id = ? AND artifact_type LIKE 'CON%'"  # archive, installer
    assert service.rows(packed, build_id) == [(1,), (1,)]


# --- cancelling and deleting ----------------------------------------------------------------------------------


def held(service: Service, channel: ChannelServer, phase: str, name: str = "held") -> int:
    """A build that stays in a phase until the faults are cleared (linking: for a moment)."""
    build_id = service.submit(held_in(channel, phase, name))
    if phase in {"solving", "downloading"}:
        service.in_phase(build_id, phase)
    elif phase == "linking":
        wait_for("it is built", lambda: service.build(build_id)["status"] != "QUEUED")
    return build_id


@pytest.mark.parametrize("phase", ["queued", "solving", "downloading", "linking"])
def test_cancelled_at_every_phase(service: Service, large: ChannelServer, phase: str) -> None:
    if phase == "queued":
        for number in (1, 2):
            held(service, large, "downloading", f"busy{number}")
    build_id = held(service, large, phase)
    answer = service.http.put(f"{API}/build/{build_id}/cancel/")
    assert answer.status_code == 200 or (phase == "linking" and answer.status_code == 409)
    build = service.ended(build_id)
    assert build["status"] in ({"CANCELED", "COMPLETED"} if phase == "linking" else {"CANCELED"})
    large.faults.clear()
    if phase == "queued":
        for row in service.rows("SELECT id FROM build WHERE status IN ('QUEUED', 'BUILDING')"):
            service.http.put(f"{API}/build/{row[0]}/cancel/")
            service.ended(row[0])
    assert service.http.put(f"{API}/build/{build_id}/cancel/").status_code in {200, 409}
    service.completed("name: after\ndependencies: [one, two]\n")
    service.is_clean()


def test_an_environment_deleted_while_it_is_built(service: Service, large: ChannelServer) -> None:
    build_id = held(service, large, "downloading", "doomed")
    assert service.http.delete(f"{API}/environment/default/doomed/").status_code == 200
    assert service.http.get(f"{API}/environment/default/doomed/").status_code == 404
    wait_for("the build is gone", lambda: not service.rows("SELECT id FROM build WHERE id = ?", build_id))
    large.faults.clear()
    again = service.completed("name: doomed\ndependencies: [one]\n")
    service.linked_to(again, "doomed")
    service.is_clean()


def test_a_namespace_deleted_while_it_builds(service: Service, large: ChannelServer) -> None:
    held(service, large, "downloading", "inside")
    held_there = service.post("name: inside\ndependencies: [one, three]\n", namespace="doomed")
    assert held_there.status_code == 200
    assert service.http.delete(f"{API}/namespace/doomed/").status_code == 200
    large.faults.clear()
    wait_for("its builds are gone", lambda: not service.rows(
        "SELECT build.id FROM build JOIN environment ON environment.id = build.environment_id "
        "JOIN namespace ON namespace.id = environment.namespace_id WHERE namespace.name = 'doomed'"
    ))  # fmt: skip
    service.http.delete(f"{API}/environment/default/inside/")
    service.completed("name: inside\ndependencies: [one]\n", namespace="doomed")
    service.is_clean()


def test_the_active_build_deleted(service: Service) -> None:
    first = service.completed("name: active\ndependencies: [one]\n")
    second = service.completed("name: active\ndependencies: [two]\n")
    service.linked_to(second, "active")
    assert service.http.delete(f"{API}/build/{second}/").status_code == 200
    wait_for("its prefix is gone", lambda: not service.prefix(second).exists())
    wait_for("the link leads somewhere or nowhere", lambda: not service.link("active").is_symlink() or (
        service.link("active").exists()
    ))  # fmt: skip
    assert service.http.get(f"{API}/build/{second}/lockfile/").status_code == 200, "kept on deletion"
    assert service.http.get(f"{API}/build/{second}/archive/").status_code == 404
    answer = service.http.put(f"{API}/environment/default/active/", json={"build_id": first})
    assert answer.status_code == 200, answer.text
    service.linked_to(first, "active")
    service.is_clean()


def test_an_archive_deleted_while_it_is_packed(service: Service) -> None:
    build_id = service.completed("name: packed\ndependencies: [big, many]\n")
    asking = threading.Thread(target=lambda: service.http.get(f"{API}/build/{build_id}/archive/"))
    asking.start()
    packing = service.state / "%packing"
    wait_for("packing has begun", lambda: packing.exists() and any(packing.iterdir()))
    assert service.http.delete(f"{API}/build/{build_id}/").status_code == 200
    asking.join(PATIENCE)
    assert not asking.is_alive()
    wait_for("nothing is left of it", lambda: not any(packing.iterdir()) and not service.prefix(build_id).exists())
    service.http.delete(f"{API}/environment/default/packed/")
    service.completed("name: after\ndependencies: [one]\n")
    service.is_clean()


def test_deleted_and_made_anew_under_one_name_at_once(service: Service) -> None:
    """Whoever comes first: what is there afterwards is whole."""
    for _ in range(4):
        service.completed("name: again\ndependencies: [one]\n")
        answers = all_at_once(
            4,
            lambda number: (
                service.http.delete(f"{API}/environment/default/again/")
                if number == 0
                else service.post("name: again\ndependencies: [two]\n")
            ),
        )
        assert {answer.status_code for answer in answers} <= {200, 404}
        last = service.completed("name: again\ndependencies: [three]\n")
        service.linked_to(last, "again")
        assert (service.link("again") / "share" / "three").is_dir()
    service.is_clean()


def test_activated_while_another_is_built(service: Service, large: ChannelServer) -> None:
    first = service.completed("name: held\ndependencies: [one]\n")
    second = service.completed("name: held\ndependencies: [two]\n")
    service.linked_to(second, "held")
    third = held(service, large, "downloading")
    assert service.http.put(f"{API}/environment/default/held/", json={"build_id": third}).status_code == 400
    assert service.http.put(f"{API}/environment/default/held/", json={"build_id": first}).status_code == 200
    service.linked_to(first, "held")
    service.http.put(f"{API}/build/{third}/cancel/")
    service.ended(third)
    large.faults.clear()
    service.linked_to(first, "held")
    service.is_clean()
