"""Long lists in statements: databases take only so many values in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Value = TypeVar("Value")

_AT_ONCE = 400


def portions(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    """The values in their order, a few hundred at a time."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]
