from conda_store.client.differing import difference
from conda_store.client.models import Package


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
