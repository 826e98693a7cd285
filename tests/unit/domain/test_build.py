from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from conda_store.domain.build import build_key, retry_delay

SHA = "d6bafe1b1dcaf1c50de7828fe4546aa605de74f6bc5bb11e04a471d372267619"
MOMENT = datetime(2026, 11, 21, 3, 27, 27, 939424, tzinfo=UTC)


def key(version: int, build_id: int = 1, name: str = "env1") -> str:
    return build_key(version, sha256=SHA, scheduled_on=MOMENT, build_id=build_id, name=name, namespace="ns")


def test_keys_have_the_known_forms() -> None:
    assert key(1) == f"{SHA}-20261121-032727-939424-1-env1"
    assert key(2) == "d6bafe1b-1795231647-1-env1"
    assert len(key(3)) == 32
    assert key(3) != key(3, build_id=2)
    with pytest.raises(ValueError, match="version 4"):
        key(4)


def test_attempts_are_bounded_and_further_and_further_apart() -> None:
    first = timedelta(seconds=2)
    assert [retry_delay(attempt, 4, first) for attempt in (1, 2, 3, 4)] == [first, first * 2, first * 4, None]
