"""Where writes are heard of, the database is asked when there was one, and not all the time."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conda_store.db.engine import Changes
from conda_store.queue.doorbell import PollingDoorbell
from conda_store.queue.writes import Writes
from conda_store.services.context import Context
from tests.queueing import handed_in

SECONDS = 20.0


@pytest.fixture
def changes(context: Context) -> Iterator[Changes]:
    found = Changes(context.database)
    found.any()
    yield found
    found.close()


@pytest.fixture
def writes(changes: Changes) -> Iterator[Writes]:
    assert changes.written_file is not None
    found = Writes.to(changes.written_file)
    assert found is not None
    yield found
    found.close()


def is_heard(doorbell: PollingDoorbell, seconds: float) -> bool:
    return doorbell.descriptor is not None and bool(select.select([doorbell.descriptor], [], [], seconds)[0])


def test_a_commit_is_heard_of_and_rings(context: Context, changes: Changes, writes: Writes) -> None:
    doorbell = PollingDoorbell(changes.any, interval=0.05, at_least_every=1e9, writes=writes)
    doorbell.has_rung()  # the first time it always has
    assert not is_heard(doorbell, 0)
    for _ in range(3):
        handed_in(context, "python")
        assert is_heard(doorbell, SECONDS)
        assert doorbell.has_rung()
        assert doorbell.descriptor is None, "it rests, so that not every write makes a worker look"
        time.sleep(doorbell.interval)
        assert not is_heard(doorbell, 0)
        assert not doorbell.has_rung()


def test_what_is_written_before_it_is_committed_is_asked_for_soon(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    writes = Writes.to(file)
    assert writes is not None
    doorbell = PollingDoorbell(lambda: False, interval=0.05, at_least_every=1e9, writes=writes)
    doorbell.has_rung()
    file.write_text("x")
    assert is_heard(doorbell, SECONDS)
    intervals = []
    for _ in range(9):
        assert not doorbell.has_rung()
        intervals.append(doorbell.interval)
    assert intervals[0] < 0.01 and intervals == sorted(intervals)
    assert intervals[-1] == intervals[-2] <= 0.5, "a worker that is to end, or did not hear, notices soon enough"
    writes.close()


def test_where_nothing_can_be_heard_it_asks_at_its_interval(tmp_path: Path) -> None:
    assert Writes.to(tmp_path / "absent") is None
    doorbell = PollingDoorbell(lambda: False, interval=0.05)
    doorbell.has_rung()
    assert doorbell.descriptor is None
    assert doorbell.interval == 0.05
