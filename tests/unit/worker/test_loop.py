"""The worker's turns, with children that do their jobs in a thread, or do not do them at all."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import update

from conda_store.db import artifacts, builds, environments, leases, logs
from conda_store.db.records import EnvironmentRecord
from conda_store.db.tables import build as build_table
from conda_store.domain.access import SYSTEM
from conda_store.domain.artifact import ArtifactState
from conda_store.domain.build import BuildStatus
from conda_store.errors import DatabaseFull, DiskFull, Interrupted
from conda_store.queue.doorbell import PollingDoorbell
from conda_store.services import housekeeping
from conda_store.services.builds import cancel_build, delete_build
from conda_store.services.clearing import purge_deleted
from conda_store.services.context import Context
from conda_store.services.ending import Outcome
from conda_store.services.images import request_image
from conda_store.services.packing import packing_directory
from conda_store.services.run_build import run_build
from conda_store.services.settings import update_settings
from conda_store.worker.announcing import Announcer
from conda_store.worker.child import _serve
from conda_store.worker.chores import Chores
from conda_store.worker.jobs import ArtifactJob, BuildJob, Chore, ChoreJob, Job
from conda_store.worker.loop import LONGEST_SECONDS, Worker
from conda_store.worker.processes import Child
from tests.queueing import FullDatabase, archive_asked_for, claimed, found, handed_in, log, run, with_database
from tests.waiting import PATIENCE


class Process:
    """As much of a process as a worker looks at: alive until it is killed."""

    def __init__(self) -> None:
        self.exitcode: int | None = None
        self._ends, self._signal = socket.socketpair()

    @property
    def sentinel(self) -> int:
        return self._ends.fileno()

    def kill(self) -> None:
        self.exitcode = -9
        self._signal.close()

    def join(self, _seconds: float) -> None:
        self._ends.close()


class FakeNursery:
    """`do` is called for each job, in the worker's thread; with None nobody ever answers."""

    def __init__(self, do: Callable[[Job], object] | None = None) -> None:
        self.do = do
        self.refusals = 0
        self.jobs: list[Job] = []

    def prepare(self) -> None:
        pass

    def new(self) -> Child:
        if self.refusals:
            self.refusals -= 1
            raise BlockingIOError("no more processes")
        nursery = self
        ours, theirs = multiprocessing.Pipe()

        class Doing(Child):
            def give(self, job: Job) -> None:
                nursery.jobs.append(job)
                self.job = job
                if nursery.do is not None:
                    theirs.send(nursery.do(job) or Outcome())

            def kill(self) -> None:
                theirs.close()
                super().kill()

        return Doing(Process(), ours)  # type: ignore[arg-type]


def worker_of(context: Context, nursery: FakeNursery, announcer: Announcer | None = None) -> Worker:
    return Worker(
        context,
        nursery,  # type: ignore[arg-type]
        PollingDoorbell(lambda: True, interval=0.001),
        concurrency=2,
        indexes_channels=False,
        announcer=announcer,
    )


def turns(worker: Worker, count: int = 3) -> None:
    for _ in range(count):
        worker._turn()


def building(context: Context, job: Job) -> object:
    """Builds and tidies up where it is asked for; other chores are left."""
    answer: list[object] = []
    if isinstance(job, BuildJob):
        work: Coroutine[Any, Any, object] = run_build(context, job.lease)
    elif job == ChoreJob(Chore.FINISH):
        work = housekeeping.tidy_ended(context)
    else:
        return None
    thread = threading.Thread(target=lambda: answer.append(asyncio.run(work)))
    thread.start()
    thread.join(30)
    return answer[0]


def building_with_a_lease_that_has_run_out(context: Context) -> tuple[Worker, int]:
    """A worker, and the build that it is at."""
    build_id = handed_in(context, "python")
    nursery = FakeNursery()
    worker = worker_of(context, nursery)
    turns(worker)
    (job,) = nursery.jobs
    assert isinstance(job, BuildJob)
    with context.database.write() as connection:
        leases.renew(connection, job.lease, timedelta(seconds=-1))
    return worker, build_id


def test_a_worker_whose_clock_is_set_forward_keeps_its_builds(context: Context) -> None:
    """As when a laptop wakes up: all leases seem to have run out."""
    worker, build_id = building_with_a_lease_that_has_run_out(context)
    worker._clock -= 3600
    worker._next_sweep = 0
    turns(worker, 5)
    build = found(context, build_id)
    assert (build.status, build.attempt, build.owner) == (BuildStatus.BUILDING, 1, worker.owner)
    worker._stop()


def test_a_worker_that_was_held_up_renews_before_it_sweeps(context: Context) -> None:
    worker, build_id = building_with_a_lease_that_has_run_out(context)
    worker._next_renewal = worker._next_sweep = 0
    turns(worker)
    assert (found(context, build_id).status, found(context, build_id).attempt) == (BuildStatus.BUILDING, 1)
    worker._stop()


def test_a_build_for_which_no_process_can_be_made_is_given_back(context: Context) -> None:
    build_id = handed_in(context, "python")
    nursery = FakeNursery()
    worker = worker_of(context, nursery)
    worker._has_forked = True
    nursery.refusals = 1
    with pytest.raises(BlockingIOError):
        turns(worker)
    assert (found(context, build_id).status, found(context, build_id).attempt) == (BuildStatus.QUEUED, 0)
    turns(worker)
    assert (found(context, build_id).status, found(context, build_id).attempt) == (BuildStatus.BUILDING, 1)
    worker._stop()


def test_no_lease_runs_while_the_fork_server_begins(context: Context) -> None:
    build_id = handed_in(context, "python")
    seen: list[BuildStatus] = []

    class Slow(FakeNursery):
        def new(self) -> Child:
            seen.append(found(context, build_id).status)
            return super().new()

    worker = worker_of(context, Slow())
    turns(worker)
    assert seen == [BuildStatus.QUEUED]
    assert found(context, build_id).status is BuildStatus.BUILDING
    worker._stop()


def test_an_idle_child_that_has_died_is_not_given_a_build(context: Context) -> None:
    first = handed_in(context, "python")
    nursery = FakeNursery(lambda job: building(context, job))
    worker = worker_of(context, nursery)
    turns(worker)
    assert found(context, first).status is BuildStatus.COMPLETED
    for child in worker.children:
        child.process.kill()
    second = handed_in(context, "python")
    turns(worker)
    assert (found(context, second).status, found(context, second).attempt) == (BuildStatus.COMPLETED, 1)
    worker._stop()


def test_a_cancelled_build_ends_and_one_that_is_stopped_goes_back(context: Context) -> None:
    cancelled, stopped = handed_in(context, "python"), handed_in(context, "python")
    worker = worker_of(context, FakeNursery())
    turns(worker)
    cancel_build(context, SYSTEM, cancelled)
    turns(worker)
    assert found(context, cancelled).status is BuildStatus.CANCELED
    worker._stop()
    assert (found(context, stopped).status, found(context, stopped).attempt) == (BuildStatus.QUEUED, 0)


def test_a_build_that_takes_too_long_is_ended_for_good(context: Context) -> None:
    update_settings(context, SYSTEM, {"quota_build_seconds": 3600}, "ns")
    build_id = handed_in(context, "python")
    worker = worker_of(context, FakeNursery())
    turns(worker)
    (child,) = worker.children
    turns(worker)
    assert found(context, build_id).status is BuildStatus.BUILDING
    child.began -= 3601
    turns(worker)
    build = found(context, build_id)
    assert (build.status, build.attempt) == (BuildStatus.FAILED, 1)
    assert "took longer than 3600 seconds" in (build.status_info or "")
    assert child.process.exitcode == -9
    worker._stop()


def test_a_child_that_ends_without_an_answer_costs_an_attempt(context: Context) -> None:
    build_id = handed_in(context, "python")
    worker = worker_of(context, FakeNursery())
    turns(worker)
    for child in worker.children:
        child.process.kill()
    turns(worker, 1)
    build = found(context, build_id)
    # without any delay it is taken up again in the same turn
    assert (build.status, build.attempt) == (BuildStatus.BUILDING, 2)
    worker._stop()


def test_a_child_that_has_completed_its_build_is_let_finish(context: Context) -> None:
    """It still writes the log, and has as long for that as a lease runs: a storage that hangs keeps no place."""
    build_id = handed_in(context, "python")
    nursery = FakeNursery()
    worker = worker_of(context, nursery)
    turns(worker)
    (child,) = worker.children
    (job,) = nursery.jobs
    assert isinstance(job, BuildJob)
    with context.database.write() as connection:
        assert leases.complete(connection, job.lease, size=1)
    worker._next_renewal = 0
    turns(worker)
    assert (child.process.exitcode, child.job) == (None, job)
    assert found(context, build_id).status is BuildStatus.COMPLETED
    assert child.completed is not None
    child.completed -= context.deployment.lease.total_seconds()
    worker._next_renewal = 0
    turns(worker)
    assert child.process.exitcode == -9
    assert found(context, build_id).status is BuildStatus.COMPLETED
    following = handed_in(context, "python")
    turns(worker)
    assert found(context, following).status is BuildStatus.BUILDING
    worker._stop()


def test_a_child_whose_build_another_worker_has_completed_is_ended(context: Context) -> None:
    handed_in(context, "python")
    nursery = FakeNursery()
    worker = worker_of(context, nursery)
    turns(worker)
    (child,) = worker.children
    (job,) = nursery.jobs
    assert isinstance(job, BuildJob)
    with context.database.write() as connection:
        assert leases.queue_again(connection, job.lease, timedelta(0), "lost")
        other = leases.claim(connection, "other", timedelta(hours=1))
        assert other is not None
        assert leases.complete(connection, other, size=1)
    turns(worker)
    assert child.process.exitcode == -9
    worker._stop()


def test_an_image_made_beside_its_build_waits_for_no_other_build(context: Context) -> None:
    ended = run(context, handed_in(context, "python"))
    first, second = handed_in(context, "python", name="one"), handed_in(context, "python", name="two")
    nursery = FakeNursery()
    worker = worker_of(context, nursery)
    turns(worker)
    for job in nursery.jobs:
        assert isinstance(job, BuildJob)
        with context.database.write() as connection:
            leases.note(connection, job.lease, {"has_plain_image": job.lease.build_id == first})
    waiting = handed_in(context, "python", name="three")
    for build_id in (ended.id, first, second):
        request_image(context, build_id, ["application/vnd.oci.image.manifest.v1+json"])
    turns(worker)
    images = [(job.artifact.build_id, job.is_beside_build) for job in nursery.jobs if isinstance(job, ArtifactJob)]
    assert images == [(first, True)]
    # what is made beside a build takes nobody's turn
    worker._dismiss(next(child for child in worker.children if isinstance(child.job, BuildJob)))
    turns(worker)
    assert found(context, waiting).status is BuildStatus.BUILDING
    worker._stop()


def test_what_cannot_be_cleared_away_does_not_keep_a_worker_busy(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    delete_build(context, SYSTEM, build.id)
    nursery = FakeNursery(lambda _: ())
    worker = worker_of(context, nursery)
    turns(worker, 20)
    assert nursery.jobs.count(ChoreJob(Chore.CLEAR)) <= 2
    worker._stop()


def test_a_poisoned_build_does_not_keep_others_from_being_built(context: Context) -> None:
    """Its log cannot be kept, whatever is tried."""
    poisoned = run(context, handed_in(context, "python", name="poisoned"))
    with context.database.write() as connection:
        connection.execute(update(build_table).where(build_table.c.id == poisoned.id).values(key="../../../outside"))
        logs.append(connection, poisoned.id, "text")
    waiting = handed_in(context, "python")
    worker = worker_of(context, FakeNursery(lambda job: building(context, job)))
    turns(worker)
    assert found(context, waiting).status is BuildStatus.COMPLETED
    with context.database.read() as connection:
        assert logs.whole(connection, poisoned.id) == "text"
    worker._stop()


def test_the_hook_is_told_of_each_activation_once(context: Context) -> None:
    told: list[tuple[str, str, int | None]] = []
    failing = threading.Event()

    def hook(environment: EnvironmentRecord) -> None:
        told.append((environment.namespace.name, environment.name, environment.current_build_id))
        if not failing.is_set():
            failing.set()
            raise RuntimeError("a hook that fails")

    announcer = Announcer(context.database, hook)
    worker = worker_of(context, FakeNursery(lambda job: building(context, job)), announcer)
    first = handed_in(context, "python", name="one")
    turns(worker)
    second = handed_in(context, "python", name="two")
    turns(worker)
    # by hand: the worker itself sets the symlink
    with context.database.write() as connection:
        environment = environments.find(connection, "ns", "one")
        assert environment is not None
        environments.set_linked(connection, environment.id, None)
    turns(worker)
    worker._stop()
    announcer.close()
    assert told == [("ns", "one", first), ("ns", "two", second), ("ns", "one", first)]
    assert found(context, second).status is BuildStatus.COMPLETED


# --- full disks and storage that hangs ------------------------------------------------------------------------


def test_the_reason_outlives_a_full_disk(context: Context) -> None:
    """The lease has run out by the time that the end can be written: still it is told what it was."""
    database = FullDatabase(context.database)
    database.is_full = False
    full = with_database(context, database)
    build_id = handed_in(context, "python")

    def fails(job: Job) -> Outcome:
        assert isinstance(job, BuildJob)
        with context.database.write() as connection:
            leases.renew(connection, job.lease, timedelta(seconds=-1))
        database.is_full = True
        return Outcome(failure=DiskFull("no space left on the disk of /srv", hint="Make room."))

    nursery = FakeNursery(fails)
    worker = worker_of(full, nursery)
    with pytest.raises(DatabaseFull):
        turns(worker)  # it looks for further builds, too
    worker._next_sweep = 0
    turns(worker)
    assert found(context, build_id).status is BuildStatus.BUILDING
    database.is_full = False
    nursery.do = None
    worker._next_sweep = 0
    turns(worker)
    assert "no space left on the disk of /srv" in log(context, build_id)
    assert "lost" not in log(context, build_id)
    assert found(context, build_id).attempt == 2
    worker._stop()


def test_an_artifact_whose_end_cannot_be_written_is_made_again_with_the_reason(context: Context) -> None:
    archive_id = archive_asked_for(context)
    failure = Interrupted("no space left on the disk of the database")
    nursery = FakeNursery(lambda _: Outcome(failure=failure))
    worker = worker_of(context, nursery)
    turns(worker, 10)
    with context.database.read() as connection:
        ended = artifacts.get(connection, archive_id)
    assert ended is not None
    assert (ended.state, ended.message) == (ArtifactState.FAILED, failure.message)
    worker._stop()


def test_the_trash_is_taken_out_although_nothing_can_be_written(context: Context) -> None:
    """Else no room would ever come of it."""
    handed_in(context, "python")
    (context.deployment.trash_directory / "old").mkdir(parents=True)
    nursery = FakeNursery()
    worker = worker_of(with_database(context, FullDatabase(context.database)), nursery)
    with pytest.raises(DatabaseFull):
        turns(worker)
    assert nursery.jobs == [ChoreJob(Chore.TRASH)]
    worker._stop()


def test_a_worker_waits_for_no_storage(context: Context) -> None:
    """One that hangs keeps a child, and not all builds."""
    asked: list[str] = []

    class Hanging:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            raise AssertionError(name)

    cancelled, lost = handed_in(context, "python", name="one"), handed_in(context, "python", name="two")
    nursery = FakeNursery()
    worker = worker_of(replace(context, blobs=cast(Any, Hanging())), nursery)
    turns(worker)
    cancel_build(context, SYSTEM, cancelled)
    turns(worker)
    for _ in range(2):
        for child in worker.children:
            child.process.kill()
        turns(worker, 1)
    worker._next_sweep = 0
    worker.chores = Chores(indexes_channels=False)
    turns(worker)
    assert found(context, cancelled).status is BuildStatus.CANCELED
    assert found(context, lost).status is BuildStatus.FAILED
    assert ChoreJob(Chore.FINISH) in nursery.jobs
    worker._stop()
    assert asked == []


@pytest.mark.parametrize("is_noticed_late", [False, True])
def test_an_archive_is_not_made_on_when_its_build_is_deleted(context: Context, is_noticed_late: bool) -> None:
    archive_id = archive_asked_for(context)
    nursery = FakeNursery()
    worker = worker_of(context, nursery)
    turns(worker)
    (maker,) = worker.children
    assert isinstance(maker.job, ArtifactJob)
    half = packing_directory(context) / f"{archive_id}-1-half"
    half.parent.mkdir(parents=True)
    half.touch()
    delete_build(context, SYSTEM, maker.job.artifact.build_id)
    if is_noticed_late:
        worker._renew()
    else:
        worker._end_cancelled()
    assert maker.process.exitcode == -9
    assert not half.exists()
    turns(worker)
    assert nursery.jobs[1:] == [ChoreJob(Chore.CLEAR)]
    purge_deleted(context)
    assert not housekeeping.look(context).deletions
    worker._stop()


def test_a_worker_that_stops_leaves_nothing_half_packed(context: Context) -> None:
    archive_id = archive_asked_for(context)
    worker = worker_of(context, FakeNursery())
    turns(worker)
    half = packing_directory(context) / f"{archive_id}-1-half"
    half.parent.mkdir(parents=True)
    half.touch()
    worker._stop()
    assert not half.exists()


@pytest.mark.parametrize("is_read", [True, False])
def test_a_child_ends_quietly_when_its_worker_is_gone(context: Context, is_read: bool) -> None:
    """Also when its last answer was not read, which is told as another error."""
    ours, theirs = multiprocessing.Pipe()
    with theirs:
        theirs.send(Outcome())
        if is_read:
            ours.recv()
        ours.close()
        asyncio.run(asyncio.wait_for(_serve(lambda: context, theirs), PATIENCE))


def test_a_child_whose_worker_is_gone_when_it_answers_ends_quietly(context: Context) -> None:
    build_id = handed_in(context, "python")
    ours, theirs = multiprocessing.Pipe()
    ours.send(BuildJob(claimed(context)))
    ours.close()
    with theirs:
        asyncio.run(asyncio.wait_for(_serve(lambda: context, theirs), PATIENCE))
    assert found(context, build_id).status is BuildStatus.COMPLETED


def test_nothing_holds_a_place_for_ever(context: Context) -> None:
    archive_id = archive_asked_for(context)
    delete_build(context, SYSTEM, run(context, handed_in(context, "python", name="other")).id)
    nursery = FakeNursery()
    worker = worker_of(context, nursery)
    turns(worker)
    hanging = list(worker.children)
    assert {type(child.job) for child in hanging} == {ArtifactJob, ChoreJob}
    for child in hanging:
        child.began -= LONGEST_SECONDS + 1
    turns(worker, 1)
    assert [child.process.exitcode for child in hanging] == [-9, -9]
    with context.database.read() as connection:
        again = artifacts.get(connection, archive_id)
    assert again is not None
    assert (again.state, again.attempt) == (ArtifactState.MAKING, 2)
    worker._stop()


def test_a_worker_with_the_number_of_the_one_before_knows_that_it_is_another(context: Context) -> None:
    """As in a container that was started anew."""
    build_id = handed_in(context, "python")
    with context.database.write() as connection:
        leases.claim(connection, housekeeping.owner_name("before"), timedelta(hours=1))
    housekeeping.recover_of_this_host(context, housekeeping.host_prefix())
    assert found(context, build_id).status is BuildStatus.QUEUED


def test_nothing_is_due_while_nothing_waits(context: Context) -> None:
    assert housekeeping.next_moment(context) == float("inf")
    handed_in(context, "python")
    with context.database.write() as connection:
        lease = leases.claim(connection, "worker", timedelta(seconds=30))
        assert lease is not None
        before = time.time()
        leases.queue_again(connection, lease, timedelta(seconds=20), "later")
        after = time.time()
        assert not leases.has_due(connection)
    assert before + 19 < housekeeping.next_moment(context) < after + 21
    with context.database.read() as connection:
        assert builds.by_owner(connection) == {}
    assert not Path(context.deployment.trash_directory).exists()
