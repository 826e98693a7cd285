from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conda_store.domain.build import TRANSITIONS, BuildStatus, ParsedBuildKey, build_key, parse_build_key, retry_delay

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


@given(st.integers(1, 10**9), st.from_regex(r"[A-Za-z0-9\-+_@$&?^~.=]{1,30}", fullmatch=True), st.sampled_from([1, 2]))
def test_a_key_tells_its_build(build_id: int, name: str, version: int) -> None:
    text = key(version, build_id, name)
    assert parse_build_key(text) == ParsedBuildKey(build_id, text)


@pytest.mark.parametrize("text", ["latest", "", "a-b", "0123", "d6bafe1b-179-x-env", "z" * 32])
def test_other_words_are_no_keys(text: str) -> None:
    assert parse_build_key(text) is None


def test_short_keys_have_to_be_looked_up() -> None:
    assert parse_build_key(key(3)) == ParsedBuildKey(None, key(3))


def test_an_ended_build_stays_as_it_is() -> None:
    assert {status for status, after in TRANSITIONS.items() if not after} == {
        status for status in BuildStatus if status.has_ended
    }


def test_attempts_are_bounded_and_further_and_further_apart() -> None:
    first = timedelta(seconds=2)
    assert [retry_delay(attempt, 4, first) for attempt in (1, 2, 3, 4)] == [first, first * 2, first * 4, None]
