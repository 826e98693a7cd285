"""Which chore is next: those that slow builds wait for them, but not for ever."""

from __future__ import annotations

from conda_store.services.housekeeping import Waiting
from conda_store.worker.chores import FINISH_SECONDS, OVERDUE_SECONDS, PUT_OFF_SECONDS, TIDY_SECONDS, Chores
from conda_store.worker.jobs import Chore


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def waiting(*, deletions: bool = False, trash: bool = False) -> Waiting:
    return Waiting(builds=False, artifacts=False, deletions=deletions, links=False, trash=trash)


def chosen(chores: Chores, *, is_busy: bool = False, deletions: bool = False, trash: bool = False) -> Chore | None:
    return chores.next(waiting(deletions=deletions, trash=trash), is_busy=is_busy, has_untidied=lambda: False)


def test_nothing_is_to_be_done_at_the_beginning() -> None:
    clock = Clock()
    chores = Chores(indexes_channels=True, clock=clock)
    assert chosen(chores) is None
    clock.now += 5
    assert [chosen(chores), chosen(chores), chosen(chores)] == [Chore.TIDY, Chore.INDEX, None]


def test_what_waits_for_room_on_the_disk_comes_first() -> None:
    chores = Chores(indexes_channels=False, clock=Clock())
    assert chosen(chores, deletions=True, trash=True) is Chore.CLEAR
    assert chosen(chores, deletions=True, trash=True) is Chore.TRASH, "what cannot be cleared away keeps nobody busy"


def test_what_is_left_of_builds_is_looked_for_now_and_then() -> None:
    clock = Clock()
    chores = Chores(indexes_channels=False, clock=clock)
    asked: list[float] = []

    def has_untidied() -> bool:
        asked.append(clock.now)
        return True

    found = [chores.next(waiting(), is_busy=True, has_untidied=has_untidied) for _ in range(3)]
    assert found == [Chore.FINISH, None, None]
    clock.now += FINISH_SECONDS
    assert chores.next(waiting(), is_busy=True, has_untidied=has_untidied) is Chore.FINISH
    assert len(asked) == 2


def test_the_trash_waits_for_builds_but_not_for_ever() -> None:
    clock = Clock()
    chores = Chores(indexes_channels=False, clock=clock)
    assert chosen(chores, is_busy=True, trash=True) is None
    clock.now += OVERDUE_SECONDS - 1
    assert chosen(chores, is_busy=True, trash=True) is None
    clock.now += 1
    assert chosen(chores, is_busy=True, trash=True) is Chore.TRASH
    assert not chores.makes_room(Chore.TRASH), "it would never come to its end"
    chores.done(Chore.TRASH)
    assert chosen(chores, is_busy=True, trash=True) is None


def test_a_chore_that_made_room_goes_on_having_waited() -> None:
    clock = Clock()
    chores = Chores(indexes_channels=False, clock=clock)
    assert chosen(chores, trash=True) is Chore.TRASH
    assert chores.makes_room(Chore.TRASH)
    clock.now += OVERDUE_SECONDS
    assert chosen(chores, is_busy=True, trash=True) is Chore.TRASH
    assert not chores.makes_room(Chore.TRASH)


def test_tidying_up_waits_for_builds_but_not_for_ever() -> None:
    clock = Clock()
    chores = Chores(indexes_channels=False, clock=clock)
    clock.now += 5
    assert chosen(chores) is Chore.TIDY
    assert chores.makes_room(Chore.TIDY)
    assert chosen(chores) is None, "put off"
    for _ in range(int(OVERDUE_SECONDS // PUT_OFF_SECONDS)):
        clock.now += PUT_OFF_SECONDS
        found = chosen(chores, is_busy=True)
    assert found is Chore.TIDY
    assert not chores.makes_room(Chore.TIDY)
    chores.done(Chore.TIDY)
    clock.now += TIDY_SECONDS
    assert chosen(chores, is_busy=True) is None
    assert chosen(chores) is Chore.TIDY


def test_what_does_not_slow_builds_goes_on_beside_them() -> None:
    chores = Chores(indexes_channels=False, clock=Clock())
    assert chosen(chores, is_busy=True, deletions=True) is Chore.CLEAR
    assert [chores.makes_room(chore) for chore in (Chore.CLEAR, Chore.FINISH, Chore.INDEX)] == [False, False, False]
