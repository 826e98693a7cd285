"""The pipeline and the queue with a builder that needs no packages."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from conda_store.builder.fake import FakeBuilder
from conda_store.builder.ports import Installed, InstallRequest, Reporter, SolveRequest
from conda_store.db import artifacts, audit, builds, leases
from conda_store.domain.access import SYSTEM
from conda_store.domain.artifact import ArtifactState, ArtifactType
from conda_store.domain.audit import AuditFilter
from conda_store.domain.build import BuildStatus
from conda_store.domain.lock import Lock
from conda_store.domain.platform import current_platform
from conda_store.domain.specification import Specification
from conda_store.errors import Conflict, Interrupted, Unsolvable
from conda_store.services import housekeeping
from conda_store.services.builds import cancel_build, delete_build, rebuild
from conda_store.services.context import Context
from conda_store.services.ending import give_up
from conda_store.services.environments import delete_environment, update_environment
from conda_store.services.links import update_links
from conda_store.services.run_build import run_build
from conda_store.services.solving import solve_once
from conda_store.services.specifications import submit_watched
from tests.queueing import LEASE, claimed, found, handed_in, known, link, log, run, stored


def test_a_build_leaves_prefix_lock_yaml_and_log(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    assert build.status is BuildStatus.COMPLETED
    assert build.prefix is not None and link(context).readlink() == Path(build.prefix)
    with context.database.read() as connection:
        made = {item.type: item.state for item in artifacts.of_build(connection, build.id)}
    ready = {kind for kind, state in made.items() if state is ArtifactState.READY}
    assert ready == {ArtifactType.DIRECTORY, ArtifactType.LOCKFILE, ArtifactType.YAML, ArtifactType.LOGS}
    assert made[ArtifactType.CONDA_PACK] is ArtifactState.ON_REQUEST
    assert "build completed" in log(context, build.id)


def test_what_cannot_be_solved_fails_once_with_the_explanation(context: Context) -> None:
    build = run(context, handed_in(context, "missing-package"))
    assert build.status is BuildStatus.FAILED
    assert "missing-package" in (build.status_info or "")
    assert "missing-package" in log(context, build.id)
    assert "Traceback" not in log(context, build.id)


def test_a_transient_failure_is_tried_again_until_attempts_run_out(context: Context) -> None:
    class Failing(FakeBuilder):
        async def install(self, request, reporter):  # type: ignore[no-untyped-def]
            from conda_store.errors import PackageUnavailable

            raise PackageUnavailable("the channel is away", hint="See whether it is there.")

    always = Context(context.database, context.blobs, Failing(), context.packages, context.deployment)
    build_id = handed_in(always, "python")
    first = run(always, build_id)
    assert (first.status, first.attempt) == (BuildStatus.QUEUED, 1)
    second = run(always, build_id)
    assert (second.status, second.attempt) == (BuildStatus.FAILED, 2)
    assert second.status_info == "the channel is away\nSee whether it is there."


def test_an_unexpected_error_is_told_without_a_traceback(context: Context) -> None:
    class Broken(FakeBuilder):
        async def install(self, request, reporter):  # type: ignore[no-untyped-def]
            raise ZeroDivisionError("a secret of the inside")

    broken = Context(context.database, context.blobs, Broken(), context.packages, context.deployment)
    build = run(broken, handed_in(broken, "python"))
    assert build.status is BuildStatus.FAILED
    assert "secret" not in log(broken, build.id) + (build.status_info or "")


def test_one_who_lost_the_lease_changes_nothing(context: Context) -> None:
    build_id = handed_in(context, "python")
    late = claimed(context)
    with context.database.write() as connection:
        assert leases.queue_again(connection, late, timedelta(0), "lost")
    current = claimed(context)
    asyncio.run(run_build(context, late))
    build = found(context, build_id)
    assert (build.status, build.attempt) == (BuildStatus.BUILDING, 2)
    asyncio.run(run_build(context, current))
    assert found(context, build_id).status is BuildStatus.COMPLETED


def test_two_claims_never_get_the_same_build(context: Context) -> None:
    submitted = {handed_in(context, "python", name=f"e{number}") for number in range(8)}
    taken: list[int] = []

    def take() -> None:
        while True:
            with context.database.write() as connection:
                lease = leases.claim(connection, threading.current_thread().name, LEASE)
            if lease is None:
                return
            taken.append(lease.build_id)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(taken) == sorted(submitted)


def test_a_cancelled_build_cannot_complete(context: Context) -> None:
    build_id = handed_in(context, "python")
    lease = claimed(context)
    cancel_build(context, SYSTEM, build_id)
    with context.database.write() as connection:
        assert not leases.complete(connection, lease, size=1)
        assert leases.standing(connection, lease).is_cancelled
    give_up(context, lease, Interrupted("its process was ended"))
    assert found(context, build_id).status is BuildStatus.CANCELED


class Cancelling(FakeBuilder):
    """Somebody cancels the build when all that is left is to say that it is complete."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context

    async def install(self, request: InstallRequest, reporter: Reporter) -> Installed:
        installed = await super().install(request, reporter)
        cancel_build(self._context, SYSTEM, 1)
        return installed


def test_a_build_that_is_cancelled_as_it_ends_leaves_nothing(context: Context) -> None:
    builder = Cancelling(context)
    late = Context(context.database, context.blobs, builder, context.packages, context.deployment)
    build = run(late, handed_in(late, "python"))
    assert build.id == 1 and build.status is BuildStatus.CANCELED
    assert stored(context) == known(context, build.id)
    assert not context.deployment.prefix(build.namespace, build.key).exists()


def test_an_ended_build_cannot_be_cancelled(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    with pytest.raises(Conflict, match="has already ended"):
        cancel_build(context, SYSTEM, build.id)


def test_activation_follows_submission_unless_somebody_chose(context: Context) -> None:
    first = run(context, handed_in(context, "python"))
    second = rebuild(context, SYSTEM, first.id)
    update_environment(context, SYSTEM, "ns", "env", build_id=first.id)
    run(context, second)
    assert link(context).readlink() == Path(str(first.prefix))
    third = run(context, rebuild(context, SYSTEM, first.id))
    assert link(context).readlink() == Path(str(third.prefix))


def test_a_deleted_build_loses_its_files_and_keeps_lock_and_log(context: Context) -> None:
    first = run(context, handed_in(context, "python"))
    second = run(context, rebuild(context, SYSTEM, first.id))
    delete_build(context, SYSTEM, first.id)
    asyncio.run(housekeeping.clear(context))
    assert not Path(str(first.prefix)).exists() and Path(str(second.prefix)).exists()
    with context.database.read() as connection:
        kept = {item.type for item in artifacts.of_build(connection, first.id)}
    assert kept == {ArtifactType.LOCKFILE, ArtifactType.YAML, ArtifactType.LOGS}
    assert found(context, first.id).size == 0


def test_deleting_the_active_build_leaves_no_dangling_link(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    delete_build(context, SYSTEM, build.id)
    asyncio.run(housekeeping.clear(context))
    assert not link(context).is_symlink()


def test_a_name_is_free_at_once_and_the_new_environment_keeps_its_link(context: Context) -> None:
    old = run(context, handed_in(context, "python"))
    delete_environment(context, SYSTEM, "ns", "env")
    new = run(context, handed_in(context, "python"))
    asyncio.run(housekeeping.clear(context))
    update_links(context)
    assert link(context).readlink() == Path(str(new.prefix))
    assert not Path(str(old.prefix)).exists()
    with context.database.read() as connection:
        assert builds.get(connection, old.id) is None


def test_a_watched_file_is_built_once_for_each_content(context: Context) -> None:
    text = b"dependencies: [python]\nname: watched\n"
    assert submit_watched(context, text, "watched") is not None
    assert submit_watched(context, text, "watched") is None
    assert submit_watched(context, text.replace(b"python", b"python, numpy"), "watched") is not None
    with context.database.read() as connection:
        rows = audit.after(connection, AuditFilter(), 0, 10)
    told = [(row.entry.actor, row.entry.action, row.entry.environment, row.entry.detail) for row in rows]
    assert ("system", "environment:create", "watched", "build 2, of a watched file") in told
    assert len([row for row in rows if row.entry.action == "environment:create"]) == 2


class Counting(FakeBuilder):
    solves = 0

    async def solve(self, request, reporter) -> Lock:  # type: ignore[no-untyped-def]
        self.solves += 1
        await asyncio.sleep(0.2)
        return await super().solve(request, reporter)


def request(*dependencies: str) -> SolveRequest:
    specification = Specification("e", ("conda-forge",), dependencies)
    return SolveRequest(specification, (current_platform(),), "https://conda.anaconda.org")


def test_identical_questions_at_one_moment_are_solved_once(context: Context) -> None:
    builder = Counting()
    shared = Context(context.database, context.blobs, builder, context.packages, context.deployment)

    async def ask() -> list[Lock]:
        return await asyncio.gather(*(solve_once(shared, request("python")) for _ in range(5)))

    answers = asyncio.run(ask())
    assert builder.solves == 1
    assert all(answer == answers[0] for answer in answers)
    asyncio.run(solve_once(shared, request("python", "numpy")))
    assert builder.solves == 2


def test_an_unsolvable_question_is_answered_from_memory_too(context: Context) -> None:
    builder = Counting()
    shared = Context(context.database, context.blobs, builder, context.packages, context.deployment)
    for _ in range(2):
        with pytest.raises(Unsolvable, match="missing-x"):
            asyncio.run(solve_once(shared, request("missing-x")))
    assert builder.solves == 1
