from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conda_store.domain.specification import (
    LockfileSpecification,
    Specification,
    parse_pip_option,
    parse_specification,
    specification_hash,
    stored_specification,
)
from conda_store.errors import InvalidSpecification

FULL: dict[str, Any] = {
    "channels": ["conda-forge"],
    "dependencies": ["python=3.11", "numpy>=1.0", {"pip": ["flask"]}],
    "description": "hello",
    "name": "env1",
    "prefix": None,
    "variables": {"A": 1},
}


def test_hashes_are_those_that_clients_know() -> None:
    empty = {"name": "env2", "channels": ["conda-forge"], "variables": None}
    assert parse_specification(FULL).sha256 == "d6bafe1b1dcaf1c50de7828fe4546aa605de74f6bc5bb11e04a471d372267619"
    assert parse_specification(empty).sha256 == "4d44a832fa83bba85ad39dd6babf3460c5920b007277ebd5da0985797d32590a"


def test_the_order_of_channels_counts_and_that_of_dependencies_does_not() -> None:
    first = Specification("e", ("a", "b"), ("x", "y"))
    assert first.sha256 != Specification("e", ("b", "a"), ("x", "y")).sha256
    assert first.sha256 == Specification("e", ("a", "b"), ("y", "x")).sha256


def test_a_model_comes_back_as_the_specification() -> None:
    parsed = parse_specification(FULL)
    assert stored_specification(parsed.model()) == parsed
    lock = LockfileSpecification("locked", {"version": 1}, "text")
    assert stored_specification(lock.model()) == lock


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("--index-url https://a.example/?key=b=c", "--index-url", "https://a.example/?key=b=c"),
        ("--index-url=https://a.example/?key=b", "--index-url", "https://a.example/?key=b"),
        ("--trusted-host   a.example ", "--trusted-host", "a.example"),
        ("--index-url", "--index-url", ""),
    ],
)
def test_an_option_of_pip_has_a_name_and_a_value(line: str, name: str, value: str) -> None:
    assert parse_pip_option(line) == (name, value)


def test_pip_options_are_told_from_requirements() -> None:
    parsed = parse_specification({"name": "e", "dependencies": [{"pip": ["--index-url https://x.example", "a", "b"]}]})
    assert parsed.pip_options == ("--index-url https://x.example",)
    assert parsed.pip_requirements == ("a", "b")


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (None, "Input should be a valid dictionary or object, found nothing"),
        ([], "Input should be a valid dictionary or object, found list"),
        ({}, "Field required (type=missing, loc=(name))"),
        ({"name": 3}, "Input should be a valid string, found 3"),
        ({"name": "a/b"}, "environment name 'a/b' must be"),
        ({"name": ".."}, "stands for a directory"),
        ({"name": "x" * 256}, "name of 256 characters is longer than 255"),
        ({"name": "ümlaut"}, "must be one or more of the characters"),
        ({"name": "e", "channels": None}, "Input should be a valid list (type=list_type, loc=(channels))"),
        ({"name": "e", "channels": ["a", 1]}, "loc=(channels -> 1)"),
        ({"name": "e", "dependencies": ["a", None]}, "loc=(dependencies -> 1)"),
        ({"name": "e", "dependencies": [{"pip": [1]}]}, "loc=(dependencies -> 0 -> pip -> 0)"),
        ({"name": "e", "dependencies": [{"npm": ["x"]}]}, "a package or a `pip:` list"),
        ({"name": "e", "variables": {"A": 1.5}}, "Input should be a string or an integer, found 1.5"),
        ({"name": "e", "variables": {"A": True}}, "Input should be a string or an integer, found True"),
        ({"name": "e", "variables": {"A=B": "x"}}, "is no name of a variable"),
        ({"name": "e", "description": 4}, "loc=(description)"),
        ({"name": "e", "dependancies": []}, "There is no key 'dependancies', did you mean 'dependencies'?"),
        ({"name": "e", "Channels": []}, "There is no key 'Channels', did you mean 'channels'?"),
    ],
)
def test_each_problem_is_named_with_its_path(document: Any, problem: str) -> None:
    with pytest.raises(InvalidSpecification) as raised:
        parse_specification(document)
    assert problem in str(raised.value)


def test_other_keys_are_left_aside() -> None:
    both = {"dependencies": ["a"], "dependancies": ["b"]}
    parsed = parse_specification({"name": "e", "category": "x", "platforms": ["linux-64"], 3: 4, **both})
    assert parsed.model() == parse_specification({"name": "e", "dependencies": ["a"]}).model()


def test_all_problems_come_at_once() -> None:
    with pytest.raises(InvalidSpecification) as raised:
        parse_specification({"channels": None, "dependencies": [1]})
    assert len(raised.value.problems) == 3


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["name", "channels", "dependencies", "variables", "prefix"]), json_values))
def test_whatever_comes_in_is_a_specification_or_an_error_with_problems(document: Any) -> None:
    try:
        parsed = parse_specification(document)
    except InvalidSpecification as error:
        assert error.problems
    else:
        assert len(parsed.sha256) == 64


@given(
    st.lists(st.text(max_size=5), max_size=6).flatmap(lambda items: st.tuples(st.just(items), st.permutations(items)))
)
def test_the_hash_does_not_depend_on_the_order_of_lists(pair: tuple[list[str], list[str]]) -> None:
    assert specification_hash({"a": pair[0]}) == specification_hash({"a": pair[1]})
