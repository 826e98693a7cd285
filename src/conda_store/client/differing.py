"""What differs between two builds' packages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from conda_store.client.models import Package
from conda_store.domain.versions import compare_versions


@dataclass(frozen=True)
class Changed:
    """`before` and `after` are versions; `is_upgrade` None where only the channel differs."""

    name: str
    before: str
    after: str
    is_upgrade: bool | None
    channel_before: str = ""
    channel_after: str = ""


@dataclass(frozen=True)
class Difference:
    """Each part is sorted by name."""

    added: tuple[Package, ...] = ()
    removed: tuple[Package, ...] = ()
    changed: tuple[Changed, ...] = field(default=())
    unchanged: int = 0


def difference(before: Iterable[Package], after: Iterable[Package]) -> Difference:
    """From one list of packages to another. A package of a Python index is not the conda package of its name."""
    old = {_key(package): package for package in before}
    new = {_key(package): package for package in after}
    common = sorted(old.keys() & new.keys())
    changed = tuple(_changed(old[key], new[key]) for key in common if _differs(old[key], new[key]))
    return Difference(
        added=tuple(new[key] for key in sorted(new.keys() - old.keys())),
        removed=tuple(old[key] for key in sorted(old.keys() - new.keys())),
        changed=changed,
        unchanged=len(common) - len(changed),
    )


def _key(package: Package) -> tuple[str, bool]:
    return package.name, "pypi" in package.channel.rsplit("/", 1)[-1].lower()


def _differs(before: Package, after: Package) -> bool:
    return before.version != after.version or before.channel != after.channel


def _changed(before: Package, after: Package) -> Changed:
    order = compare_versions(before.version, after.version)
    return Changed(
        before.name,
        before.version,
        after.version,
        None if order == 0 else order < 0,
        before.channel,
        after.channel,
    )
