"""kill -9 at every phase: afterwards the build is COMPLETED or FAILED with a reason, and nothing lies about."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.acceptance.harness import Store, store, tiny_channel
from tests.processes import alive_children, connected_to, is_running
from tests.waiting import PATIENCE, wait_for
from tools.channel.serve import ChannelServer, Fault

SPECIFICATION = "name: env\ndependencies: [two, three]\n"


def hold(channel: ChannelServer, phase: str) -> None:
    """Keep the next builds in a phase until the faults are cleared."""
    channel.faults["*repodata*" if phase == "solving" else "*/two-*"] = Fault(hang=True)


@pytest.mark.parametrize("phase", ["solving", "downloading"])
@pytest.mark.parametrize("victim", ["worker", "job"])
def test_a_killed_process_costs_an_attempt_and_nothing_else(
    opened: Store, channel: ChannelServer, phase: str, victim: str
) -> None:
    hold(channel, phase)
    worker = opened.start_worker()
    build_id = opened.submit(SPECIFICATION)
    opened.in_phase(build_id, phase)
    descendants = alive_children(worker.pid)
    if victim == "worker":
        opened.kill(worker)
        wait_for("its children are gone", lambda: not any(is_running(pid) for pid in descendants))
        channel.faults.clear()
        opened.start_worker()
    else:
        port = int(channel.url.rpartition(":")[2])
        job = wait_for("the job is connected", lambda: connected_to(port, alive_children(worker.pid)))
        os.kill(job, signal.SIGKILL)
        channel.faults.clear()
    build = opened.ended(build_id)
    assert (build.status, build.attempt) == ("COMPLETED", 2), opened.log(build_id)
    assert "attempt 2 of 3" in opened.log(build_id)
    opened.linked_to(build_id, "env")
    opened.is_clean()


def _held(opened: Store, build_id: int, phase: str) -> bool:
    return (opened.build(build_id).progress or {}).get("phase") == phase


def test_a_build_whose_workers_all_die_fails_with_the_reason(opened: Store, channel: ChannelServer) -> None:
    hold(channel, "downloading")
    build_id = opened.submit(SPECIFICATION)
    for attempt in (1, 2, 3):
        worker = opened.start_worker()
        wait_for("the attempt runs", lambda attempt=attempt: _runs(opened, build_id, attempt))
        opened.kill(worker)
    opened.start_worker()
    build = opened.ended(build_id)
    assert build.status == "FAILED"
    assert build.status_info is not None and "worker" in build.status_info
    assert opened.active("env") is None
    opened.is_clean()


def _runs(opened: Store, build_id: int, attempt: int) -> bool:
    build = opened.build(build_id)
    return build.status == "BUILDING" and build.attempt == attempt and _held(opened, build_id, "downloading")


def test_kills_at_any_moment_never_break_the_active_environment(tmp_path: Path) -> None:
    """Many builds of one environment, the worker killed at random moments, while somebody keeps using the link."""
    moments = random.Random(7)
    with (
        ChannelServer(tiny_channel(tmp_path / "channel", files=1500)) as server,
        store(tmp_path / "store", conda_default_channels=[server.url], max_build_attempts=2) as opened,
    ):
        worker = opened.start_worker()
        first = opened.submit(SPECIFICATION)
        opened.ended(first)
        opened.linked_to(first, "env")
        broken: list[str] = []
        done = threading.Event()
        watcher = threading.Thread(target=_use, args=(opened.link("env"), broken, done))
        watcher.start()
        try:
            for _ in range(8):
                build_id = opened.submit(SPECIFICATION)
                time.sleep(moments.uniform(0, 0.5))
                opened.kill(worker)
                worker = opened.start_worker()
                build = opened.ended(build_id)
                assert build.status in {"COMPLETED", "FAILED"}
                assert build.status == "COMPLETED" or build.status_info
        finally:
            done.set()
            watcher.join(PATIENCE)
        assert broken == []
        opened.is_clean()
        wait_for("the trash is taken out", lambda: not opened.trash())


def _use(link: Path, broken: list[str], done: threading.Event) -> None:
    while not done.is_set():
        try:
            count = sum(1 for _ in (link / "share" / "three").iterdir())
        except OSError as error:
            broken.append(str(error))
        else:
            if count != 1500:
                broken.append(f"{count} files")


def test_a_worker_told_to_stop_gives_its_build_back(opened: Store, channel: ChannelServer) -> None:
    hold(channel, "downloading")
    worker = opened.start_worker()
    build_id = opened.submit(SPECIFICATION)
    opened.in_phase(build_id, "downloading")
    opened.stop(worker)
    waiting = opened.build(build_id)
    assert (waiting.status, waiting.attempt) == ("QUEUED", 0)
    channel.faults.clear()
    opened.start_worker()
    assert opened.ended(build_id).status == "COMPLETED"
