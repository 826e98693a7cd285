"""What differs between two builds' packages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest

from conda_store.client.models import Package


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


# --- the order of versions (conda's, CEP 33): 1.1dev < 1.1a1 < 1.1 = 1.1.0 < 1.1.post1 ------------------------------

_PIECE = re.compile(r"\d+|\*|[a-z]+")
_Component = list[int | str]


def compare_versions(left: str, right: str) -> int:
    """-1, 0 or 1."""
    epoch_left, main_left, local_left = _parts(left)
    epoch_right, main_right, local_right = _parts(right)
    if epoch_left != epoch_right:
        return -1 if epoch_left < epoch_right else 1
    return _compare(main_left, main_right) or _compare(local_left, local_right)


def _parts(version: str) -> tuple[int, list[_Component], list[_Component]]:
    epoch, mark, rest = version.lower().strip().partition("!")
    if not mark or not epoch.isdigit():
        epoch, rest = "0", version.lower().strip()
    main, _, local = rest.partition("+")
    return int(epoch), _components(main), _components(local)


def _components(text: str) -> list[_Component]:
    components: list[_Component] = []
    for part in re.split(r"[._-]", text) if text else []:
        pieces: _Component = [int(piece) if piece.isdigit() else piece for piece in _PIECE.findall(part)]
        if pieces and isinstance(pieces[0], str):
            pieces.insert(0, 0)  # so that numbers are compared with numbers: 1.a is 1.0a
        components.append(pieces or [0])
    return components


def _compare(left: list[_Component], right: list[_Component]) -> int:
    for one, other in zip_longest(left, right, fillvalue=[0]):
        for a, b in zip_longest(one, other, fillvalue=0):
            if order := _compare_pieces(a, b):
                return order
    return 0


def _compare_pieces(left: int | str, right: int | str) -> int:
    rank_left, rank_right = _rank(left), _rank(right)
    return (rank_left > rank_right) - (rank_left < rank_right)


def _rank(piece: int | str) -> tuple[int, int, str]:
    """dev before other words, words before numbers, post after all."""
    if isinstance(piece, int):
        return 2, piece, ""
    return {"dev": 0, "post": 3}.get(piece, 1), 0, piece
