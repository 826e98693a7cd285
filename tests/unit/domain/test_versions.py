from itertools import pairwise

import pytest

from conda_store.domain.versions import compare_versions


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("0.4", "0.4.1"), ("0.4.1.rc", "0.4.1.1"), ("0.5a1", "0.5b3"), ("0.5b3", "0.5"), ("0.9.6", "0.960923"),
        ("1.1dev1", "1.1a1"), ("1.1a1", "1.1"), ("1.1.0rc1", "1.1.0"), ("1.1.0", "1.1.0post1"), ("9", "10"),
        ("1996.07.12", "1!0.4.1"), ("1!3.1", "2!0.4"), ("1.0+1", "1.0+2"), ("1.0", "1.0+1"), ("1.9", "1.10"),
        ("1.0.0rc2", "1.0.0"), ("2.0.dev0", "2.0.a0"),
    ],
)  # fmt: skip
def test_versions_have_condas_order(lower: str, higher: str) -> None:
    assert compare_versions(lower, higher) == -1
    assert compare_versions(higher, lower) == 1


@pytest.mark.parametrize(("one", "other"), [("1.1", "1.1.0"), ("1.0C1", "1.0c1"), ("1.a", "1.0a"), ("1-2", "1.2")])
def test_equal_versions_in_two_spellings(one: str, other: str) -> None:
    assert compare_versions(one, other) == 0


def test_a_number_may_be_as_long_as_it_likes() -> None:
    assert compare_versions("1." + "9" * 5000, "1.1") == 1


def test_a_chain_of_versions_is_in_order() -> None:
    chain = ["0.4", "0.4.1", "0.5a1", "0.5b3", "0.5", "0.9.6", "0.960923", "1.0", "1.1dev1", "1.1a1", "1.1", "1.1post1"]
    assert all(compare_versions(lower, higher) == -1 for lower, higher in pairwise(chain))
