"""What a match spec may be, and what is said of those that it may not."""

from __future__ import annotations

import pytest

from conda_store.builder.matchspecs import parse_match_spec
from conda_store.errors import InvalidSpecification


@pytest.mark.parametrize(
    ("text", "build"),
    [
        ("numpy 1.26 *cuda*", "*cuda*"),
        ("numpy=1.26=py311h64a7726_0", "py311h64a7726_0"),
        ("numpy=1.26=^(py311|py312)_0$", "^(py311|py312)_0$"),
        ("numpy >=1.26,<2", None),
    ],
)
def test_builds_may_be_patterns(text: str, build: str | None) -> None:
    assert parse_match_spec(text).build == build


@pytest.mark.parametrize("text", ["numpy >=1.26 <2", "numpy >=1.0 <"])
def test_bounds_without_a_comma_are_no_build(text: str) -> None:
    with pytest.raises(InvalidSpecification) as refused:
        parse_match_spec(text)
    assert "joined by a comma" in str(refused.value)


def test_a_fourth_word_is_too_much() -> None:
    with pytest.raises(InvalidSpecification, match="all that words can name"):
        parse_match_spec("numpy 1.26 foo bar")
