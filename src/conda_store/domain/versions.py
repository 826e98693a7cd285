"""The order of versions (conda's, CEP 33): 1.1dev < 1.1a1 < 1.1 = 1.1.0 < 1.1.post1 < 1.1.1.

Of a local version (1.1+cu118) words come after none, too, as Python's packages have it (PEP 440).
"""

from __future__ import annotations

import re
from itertools import zip_longest

_EPOCH = re.compile(r"([0-9]+)!(.*)", re.DOTALL)
_PIECE = re.compile(r"[0-9]+|\*|[a-z]+")


def compare_versions(left: str, right: str) -> int:
    """-1, 0 or 1: whether `left` is the lower one, equal, or the higher one."""
    for one, other in zip(_parts(left), _parts(right), strict=True):
        if order := _compare(one, other):
            return order
    return 0


def _parts(version: str) -> tuple[list[list[str]], ...]:
    """Epoch, version and local version, each in components of numbers and words."""
    text = version.lower().strip()
    match = _EPOCH.fullmatch(text)
    epoch, rest = (match[1], match[2]) if match else ("0", text)
    main, _, local = rest.partition("+")
    return _components(epoch), _components(main), _components(f"1.{local}" if local else "")


def _components(text: str) -> list[list[str]]:
    components = []
    for part in re.split(r"[._-]", text) if text else []:
        pieces = _PIECE.findall(part) or ["0"]
        # so that numbers are compared with numbers: 1.a is 1.0a
        components.append(pieces if pieces[0].isdigit() else ["0", *pieces])
    return components


def _compare(left: list[list[str]], right: list[list[str]]) -> int:
    for one, other in zip_longest(left, right, fillvalue=["0"]):
        for a, b in zip_longest(one, other, fillvalue="0"):
            if _rank(a) != _rank(b):
                return -1 if _rank(a) < _rank(b) else 1
    return 0


def _rank(piece: str) -> tuple[int, int, str]:
    """dev before other words, words before numbers, post after all."""
    if piece.isdigit():
        digits = piece.lstrip("0")
        return 2, len(digits), digits
    return {"dev": 0, "post": 3}.get(piece, 1), 0, piece
