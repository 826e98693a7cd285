from itertools import pairwise

import pytest

from conda_store.client.differing import compare_versions, difference
from conda_store.client.models import Package


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


def test_a_chain_of_versions_is_in_order() -> None:
    chain = ["0.4", "0.4.1", "0.5a1", "0.5b3", "0.5", "0.9.6", "0.960923", "1.0", "1.1dev1", "1.1a1", "1.1", "1.1post1"]
    assert all(compare_versions(lower, higher) == -1 for lower, higher in pairwise(chain))


def package(name: str, version: str, channel: str = "https://conda.test/main") -> Package:
    return Package(name, version, channel)


def test_packages_are_added_removed_and_changed() -> None:
    before = [package("a", "1"), package("b", "1.9"), package("c", "2"), package("d", "1"), package("e", "1")]
    moved = package("d", "1", "https://conda.test/other")
    after = [package("b", "1.10"), package("c", "1"), moved, package("e", "1"), package("z", "1")]
    result = difference(before, after)
    assert [item.name for item in result.added] == ["z"]
    assert [item.name for item in result.removed] == ["a"]
    assert [(item.name, item.before, item.after, item.is_upgrade) for item in result.changed] == [
        ("b", "1.9", "1.10", True),
        ("c", "2", "1", False),
        ("d", "1", "1", None),
    ]
    assert result.unchanged == 1


def test_a_package_of_a_python_index_is_another_than_condas() -> None:
    result = difference(
        [package("a", "1")], [package("a", "1"), package("a", "2", "https://index.example/simple/pypi")]
    )
    assert [item.version for item in result.added] == ["2"]
    assert result.changed == ()


def test_equal_builds_do_not_differ() -> None:
    packages = [package("a", "1"), package("b", "2")]
    result = difference(packages, packages)
    assert (result.added, result.removed, result.changed, result.unchanged) == ((), (), (), 2)
