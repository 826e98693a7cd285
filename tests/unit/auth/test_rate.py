from __future__ import annotations

from conda_store.auth.rate import RateLimit


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_so_many_at_once_and_then_one_after_the_other() -> None:
    clock = Clock()
    limit = RateLimit(3, 30, clock=clock)
    assert [limit.take("a") for _ in range(3)] == [0, 0, 0]
    assert limit.wait("a") == limit.take("a") == 10
    assert limit.take("b") == 0
    clock.now += 10
    assert limit.take("a") == 0
    assert limit.take("a") == 10
    clock.now += 1000
    assert [limit.take("a") for _ in range(4)] == [0, 0, 0, 10]


def test_asking_counts_nothing_and_memory_is_bounded() -> None:
    limit = RateLimit(1, 10, keys=2, clock=Clock())
    assert [limit.wait("a") for _ in range(5)] == [0] * 5
    for key in "abc":
        limit.take(key)
    assert limit.wait("a") == 0, "forgotten"
    assert limit.wait("c") == 10
