"""Many builds, cancelled builds, and which of them becomes active."""

from __future__ import annotations

from pathlib import Path

from conda_store.domain.access import SYSTEM
from conda_store.services.builds import cancel_build, rebuild
from conda_store.services.environments import update_environment
from tests.acceptance.harness import Store
from tests.waiting import wait_for
from tools.channel.serve import ChannelServer, Fault

SPECIFICATION = "name: env\ndependencies: [{}]\n"


def test_two_workers_build_each_of_twenty_once(opened: Store) -> None:
    opened.start_worker()
    opened.start_worker()
    submitted = [opened.submit(f"name: env{number}\ndependencies: [two]\n") for number in range(20)]
    found = [opened.ended(build_id) for build_id in submitted]
    assert {(build.status, build.attempt) for build in found} == {("COMPLETED", 1)}
    for number in range(20):
        wait_for("the link is set", lambda number=number: opened.active(f"env{number}"))


def test_a_waiting_build_is_cancelled_at_once(opened: Store) -> None:
    build_id = opened.submit(SPECIFICATION.format("two"))
    cancel_build(opened.context, SYSTEM, build_id)
    assert opened.build(build_id).status == "CANCELED"
    opened.start_worker()
    later = opened.submit(SPECIFICATION.format("one"))
    assert opened.ended(later).status == "COMPLETED"
    assert opened.build(build_id).status == "CANCELED"


def test_a_running_build_is_cancelled_and_leaves_nothing(opened: Store, channel: ChannelServer) -> None:
    channel.faults["*/two-*"] = Fault(hang=True)
    opened.start_worker()
    build_id = opened.submit(SPECIFICATION.format("two"))
    opened.in_phase(build_id, "downloading")
    cancel_build(opened.context, SYSTEM, build_id)
    build = opened.ended(build_id)
    assert build.status == "CANCELED"
    assert f"build {build_id} marked as CANCELED due to being canceled from the REST API" in opened.log(build_id)
    opened.is_clean()
    channel.faults.clear()
    assert opened.ended(opened.submit(SPECIFICATION.format("two"))).status == "COMPLETED"


def test_the_newest_submitted_build_wins_not_the_last_to_end(opened: Store, channel: ChannelServer) -> None:
    channel.faults["*/two-*"] = Fault(hang=True)
    opened.start_worker()
    slow = opened.submit(SPECIFICATION.format("two"))
    opened.in_phase(slow, "downloading")
    quick = opened.submit(SPECIFICATION.format("three"))
    assert opened.ended(quick).status == "COMPLETED"
    opened.linked_to(quick, "env")
    channel.faults.clear()
    slow_build = opened.ended(slow)
    assert slow_build.status == "COMPLETED"
    assert slow_build.ended_on > opened.build(quick).ended_on
    assert opened.active("env") == Path(str(opened.build(quick).prefix))


def test_an_explicit_activation_outranks_what_was_submitted_before(opened: Store, channel: ChannelServer) -> None:
    opened.start_worker()
    first = opened.submit(SPECIFICATION.format("one"))
    opened.ended(first)
    second = rebuild(opened.context, SYSTEM, first)
    opened.ended(second)
    opened.linked_to(second, "env")
    channel.faults["*/two-*"] = Fault(hang=True)
    third = opened.submit(SPECIFICATION.format("two"))
    opened.in_phase(third, "downloading")
    update_environment(opened.context, SYSTEM, "default", "env", build_id=first)
    opened.linked_to(first, "env")
    channel.faults.clear()
    assert opened.ended(third).status == "COMPLETED"
    opened.linked_to(first, "env")
    fourth = opened.submit(SPECIFICATION.format("one"))
    opened.ended(fourth)
    opened.linked_to(fourth, "env")


def test_roll_back_and_forth(opened: Store) -> None:
    opened.start_worker()
    submitted = [opened.submit(SPECIFICATION.format(name)) for name in ("one", "two", "three")]
    for build_id in submitted:
        opened.ended(build_id)
    for build_id in [*submitted, *reversed(submitted)]:
        update_environment(opened.context, SYSTEM, "default", "env", build_id=build_id)
        opened.linked_to(build_id, "env")
