"""What differs between the packages of two builds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conda_store.domain.lock import CondaPackage, PlatformLock, PyPIPackage
from conda_store.domain.versions import compare_versions

Package = CondaPackage | PyPIPackage


@dataclass(frozen=True)
class Change:
    """A package that both builds have, in another version or build. Sizes are of the downloads, in bytes, None where
    that is not known."""

    name: str
    before: str
    after: str
    is_upgrade: bool | None
    size_before: int | None = None
    size_after: int | None = None


@dataclass(frozen=True)
class Difference:
    """Each part is sorted by name; sizes are of the downloads, in bytes."""

    added: tuple[Package, ...]
    removed: tuple[Package, ...]
    changed: tuple[Change, ...]
    unchanged: int
    size_before: int
    size_after: int


def difference(before: PlatformLock, after: PlatformLock) -> Difference:
    """From one build to another. A package of a Python index is not the conda package of its name."""
    old = _by_name(before)
    new = _by_name(after)
    common = sorted(old.keys() & new.keys())
    changes = [_change(old[key], new[key]) for key in common]
    changed = tuple(change for change in changes if change is not None)
    return Difference(
        added=tuple(new[key] for key in sorted(new.keys() - old.keys())),
        removed=tuple(old[key] for key in sorted(old.keys() - new.keys())),
        changed=changed,
        unchanged=len(common) - len(changed),
        size_before=_size(before.conda),
        size_after=_size(after.conda),
    )


def _by_name(lock: PlatformLock) -> dict[tuple[str, bool], Package]:
    found: dict[tuple[str, bool], Package] = {(package.name, False): package for package in lock.conda}
    return found | {(package.name, True): package for package in lock.pypi}


def _change(before: Package, after: Package) -> Change | None:
    sizes = _size_of(before), _size_of(after)
    if before.version != after.version:
        order = compare_versions(before.version, after.version)
        return Change(before.name, before.version, after.version, order < 0 if order else None, *sizes)
    if isinstance(before, CondaPackage) and isinstance(after, CondaPackage) and before.build != after.build:
        return Change(
            before.name, f"{before.version} {before.build}", f"{after.version} {after.build}",
            after.build_number > before.build_number if after.build_number != before.build_number else None, *sizes,
        )  # fmt: skip
    return None


def _size_of(package: Package) -> int | None:
    return package.size if isinstance(package, CondaPackage) else None


def _size(packages: Iterable[CondaPackage]) -> int:
    return sum(package.size or 0 for package in packages)
