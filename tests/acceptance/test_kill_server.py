"""The server and its worker are killed or stopped, at every phase of a build: nothing is lost, nothing lies about."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.acceptance.holding import held_in
from tests.acceptance.service import API, Service, serving
from tests.processes import is_running
from tests.waiting import PATIENCE, wait_for
from tools.channel.serve import ChannelServer

SPECIFICATION = "name: env\ndependencies: [two, three]\n"
PHASES = ["queued", "solving", "downloading", "linking"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, large_channel: ChannelServer) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("s"), conda_default_channels=[large_channel.url]) as service:
        yield service


@pytest.fixture
def service(running: Service) -> Service:
    """One that is up, wherever the test before has left it."""
    if running.process is None or running.process.poll() is not None:
        running.start()
    running.worker()
    return running


def killed_at(service: Service, channel: ChannelServer, phase: str, kill: Callable[[], object]) -> int:
    specification = held_in(channel, phase)
    build_id = service.submit(specification)
    if phase == "queued":
        pass
    elif phase == "linking":
        seen(service, build_id, "linking")
    else:
        service.in_phase(build_id, phase)
    kill()
    channel.faults.clear()
    return build_id


def seen(service: Service, build_id: int, phase: str) -> None:
    """Wait for a phase that may be over before anybody looks."""

    def look() -> bool:
        status, progress = service.row("SELECT status, progress FROM build WHERE id = ?", build_id)
        return status == "COMPLETED" or json.loads(progress or "{}").get("phase") == phase

    wait_for(f"build {build_id} is {phase}", look)


def finished(service: Service, build_id: int) -> None:
    build = service.ended(build_id)
    assert build["status"] == "COMPLETED", service.log(build_id)
    service.linked_to(build_id, "env")
    assert list(service.link("env").rglob("*.txt")) or (service.link("env") / "share").exists()
    service.is_clean()


@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_server_takes_its_worker_along_and_the_next_one_goes_on(
    service: Service, large: ChannelServer, phase: str
) -> None:
    family: set[int] = set()
    build_id = killed_at(service, large, phase, lambda: family.update(service.kill()))
    # server and worker, and what children are forked from; a worker that has just begun may not have that yet
    assert len(family) >= (2 if phase == "queued" else 3)
    wait_for("its processes are gone", lambda: not any(map(is_running, family)))
    service.start()
    finished(service, build_id)


@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_worker_is_replaced(service: Service, large: ChannelServer, phase: str) -> None:
    worker = service.worker()
    build_id = killed_at(service, large, phase, lambda: os.kill(worker, signal.SIGKILL))
    finished(service, build_id)
    assert service.worker() != worker
    assert service.http.get(f"{API}/").status_code == 200


@pytest.mark.parametrize("phase", ["solving", "downloading"])
def test_both_killed_at_once(service: Service, large: ChannelServer, phase: str) -> None:
    def kill_all() -> None:
        for pid in sorted(service.family(), reverse=True):
            with suppress(ProcessLookupError):  # some end with the others
                os.kill(pid, signal.SIGKILL)
        assert service.process is not None
        service.process.wait(PATIENCE)

    build_id = killed_at(service, large, phase, kill_all)
    service.start()
    finished(service, build_id)


@pytest.mark.parametrize("victim", ["worker", "server", "job"])
@pytest.mark.parametrize("artifact", ["archive", "installer"])
def test_killed_while_packing(service: Service, victim: str, artifact: str) -> None:
    build_id = service.completed("name: env\ndependencies: [big]\n")
    answers: list[int] = []

    def ask() -> None:
        try:
            answers.append(service.http.get(f"{API}/build/{build_id}/{artifact}/").status_code)
        except OSError:
            answers.append(0)
        except Exception as error:  # the server was killed: whatever the client makes of it
            assert victim == "server", error
            answers.append(0)

    worker = service.worker()
    asking = threading.Thread(target=ask)
    asking.start()
    packing = service.state / "%packing"
    job = wait_for("packing has begun", lambda: packs(service, 1))
    if victim == "server":
        service.kill()
        asking.join(PATIENCE)
        service.start()
        answers.append(service.http.get(f"{API}/build/{build_id}/{artifact}/").status_code)
    elif victim == "worker":
        os.kill(worker, signal.SIGKILL)
    else:
        os.kill(job, signal.SIGKILL)
    asking.join(PATIENCE)
    assert answers[-1] == 200
    wait_for("no half archive is left", lambda: not any(packing.iterdir()))
    service.is_clean()


def test_an_archive_whose_maker_dies_every_time_fails_with_the_reason(service: Service) -> None:
    build_id = service.completed("name: env\ndependencies: [big]\n")
    answer: list[tuple[int, str]] = []

    def ask() -> None:
        got = service.http.get(f"{API}/build/{build_id}/archive/")
        answer.append((got.status_code, got.text[:500]))

    asking = threading.Thread(target=ask)
    asking.start()
    for attempt in (1, 2, 3):
        os.kill(wait_for(f"attempt {attempt}", lambda attempt=attempt: packs(service, attempt)), signal.SIGKILL)
    asking.join(PATIENCE)
    assert answer[0][0] == 409
    assert "could not be made: the process that made it ended" in answer[0][1]
    assert service.http.get(f"{API}/build/{build_id}/archive/").status_code == 200, "asked for anew"
    service.is_clean()


def packs(service: Service, attempt: int) -> int | None:
    """The process that writes an archive, as its so many-th attempt."""
    packing = service.state / "%packing"
    if not packing.exists() or not any(file.name.split("-")[1] == str(attempt) for file in packing.iterdir()):
        return None
    for pid in service.family():
        with suppress(OSError):  # it has ended, or closed the file
            if any(packing in file.readlink().parents for file in Path(f"/proc/{pid}/fd").iterdir()):
                return pid
    return None


def test_the_active_environment_is_whole_through_all_of_it(service: Service, large: ChannelServer) -> None:
    first = service.completed(SPECIFICATION)
    service.linked_to(first, "env")
    broken: list[str] = []
    done = threading.Event()

    def use() -> None:
        while not done.is_set():
            try:
                (service.link("env") / "share" / "three" / "0.txt").read_text()
            except OSError as error:
                broken.append(str(error))

    user = threading.Thread(target=use)
    user.start()
    try:
        for pause in (0.0, 0.1, 0.25):
            build_id = service.submit(SPECIFICATION)
            time.sleep(pause)
            service.kill()
            service.start()
            assert service.ended(build_id)["status"] == "COMPLETED"
        service.linked_to(build_id, "env")
    finally:
        done.set()
        user.join(PATIENCE)
    assert broken == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_leaves_nothing_running_and_forgets_its_token(
    service: Service, large: ChannelServer, number: signal.Signals
) -> None:
    specification = held_in(large, "downloading")
    build_id = service.submit(specification)
    service.in_phase(build_id, "downloading")
    remembered = service.directory / "config" / "conda-store" / "credentials.json"
    assert str(service.http.base_url).rstrip("/") in json.loads(remembered.read_text())
    status = service.stop(number)
    assert status in {0, 128 + number, -number}
    left = json.loads(remembered.read_text())
    assert str(service.http.base_url).rstrip("/") not in left
    connection = sqlite3.connect(service.data / "conda-store.sqlite")
    row = connection.execute("SELECT status, attempt, owner FROM build WHERE id = ?", (build_id,)).fetchone()
    connection.close()
    assert row == ("QUEUED", 0, None)
    large.faults.clear()
    service.start()
    finished(service, build_id)


def test_told_to_stop_while_somebody_follows_and_waits(service: Service, large: ChannelServer) -> None:
    """Open connections do not keep it."""
    build_id = service.submit(held_in(large, "downloading"))
    service.in_phase(build_id, "downloading")
    begun, ended = threading.Event(), threading.Event()

    def follow() -> None:
        with suppress(httpx.HTTPError), service.http.stream("GET", f"{API}/build/{build_id}/events/") as answer:
            for _ in answer.iter_bytes():
                begun.set()
        ended.set()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    assert begun.wait(PATIENCE)
    service.stop()
    assert ended.wait(PATIENCE)
    large.faults.clear()
    service.start()
    finished(service, build_id)


def test_told_twice_while_starting(tmp_path: Path, large: ChannelServer) -> None:
    """An impatient user."""
    with serving(tmp_path / "s", conda_default_channels=[large.url]) as service:
        family = service.family()
        assert service.process is not None
        service.process.send_signal(signal.SIGINT)
        service.process.send_signal(signal.SIGINT)
        service.process.wait(PATIENCE)
        wait_for("no process is left", lambda: not any(map(is_running, family)))
        assert "Traceback" not in service.log_text()
