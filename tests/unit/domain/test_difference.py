from __future__ import annotations

import pytest

from conda_store.domain.difference import Change, difference
from conda_store.domain.lock import CondaPackage, PlatformLock, PyPIPackage
from conda_store.domain.platform import Platform


def package(name: str, version: str, build: str = "0", number: int = 0, size: int = 10) -> CondaPackage:
    url = f"https://c.example/{name}-{version}-{build}.conda"
    return CondaPackage(name, version, build, "noarch", url, "https://c.example", build_number=number, size=size)


def lock(*conda: CondaPackage, pypi: tuple[PyPIPackage, ...] = ()) -> PlatformLock:
    return PlatformLock(Platform.LINUX_64, conda, pypi)


def test_what_was_added_removed_and_changed() -> None:
    before = lock(
        package("a", "1.9"), package("b", "2"), package("c", "1"), package("d", "1", "h0", 0), package("e", "1")
    )
    after = lock(
        package("a", "1.10", size=30),
        package("b", "1"),
        package("d", "1", "h1", 1),
        package("e", "1"),
        package("f", "1"),
    )
    found = difference(before, after)
    assert [item.name for item in found.added] == ["f"]
    assert [item.name for item in found.removed] == ["c"]
    assert found.changed == (
        Change("a", "1.9", "1.10", is_upgrade=True, size_before=10, size_after=30),
        Change("b", "2", "1", is_upgrade=False, size_before=10, size_after=10),
        Change("d", "1 h0", "1 h1", is_upgrade=True, size_before=10, size_after=10),
    )
    assert (found.unchanged, found.size_before, found.size_after) == (1, 50, 70)


def test_a_package_of_both_worlds_is_two() -> None:
    pypi = (PyPIPackage("a", "2", "https://p.example/a.whl", ()),)
    found = difference(lock(package("a", "1")), lock(package("a", "1"), pypi=pypi))
    assert (len(found.added), found.changed, found.unchanged) == (1, (), 1)


@pytest.mark.parametrize(
    ("before", "after", "is_upgrade"),
    [("2.0rc1", "2.0", True), ("1.0", "1.0.post1", True), ("2.1+cu118", "2.1", False), ("2.0", "1!1.0", True),
     ("1.0", "1.0.0", None)],
)  # fmt: skip
def test_versions_have_condas_order(before: str, after: str, is_upgrade: bool | None) -> None:
    (change,) = difference(lock(package("a", before)), lock(package("a", after))).changed
    assert change.is_upgrade is is_upgrade
