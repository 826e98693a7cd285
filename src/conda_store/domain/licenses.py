"""Licences as channels name them: SPDX expressions where they are some, words where they are not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_TOKEN = re.compile(r"\(|\)|[^\s()]+")
_MOST_CHOICES = 64


@lru_cache(maxsize=4096)
def choices(text: str) -> tuple[frozenset[str], ...]:
    """The licences that one may choose from; each is what holds together (`MIT OR (BSD-3-Clause AND PSF-2.0)` are two).

    `GPL-3.0-only WITH GCC-exception-3.1` is one licence. Text that is no expression is one licence too.
    """
    tokens = _TOKEN.findall(text)
    parsed = _Parser(tokens).read() if tokens else None
    return parsed or (frozenset({" ".join(text.split())}),)


class _Parser:
    """OR binds less than AND, AND less than WITH."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def read(self) -> tuple[frozenset[str], ...] | None:
        try:
            found = self._either()
        except (ValueError, RecursionError):
            return None
        return found if self._at == len(self._tokens) else None

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _takes(self, word: str) -> bool:
        if self._next().upper() != word:
            return False
        self._at += 1
        return True

    def _either(self) -> tuple[frozenset[str], ...]:
        found = self._together()
        while self._takes("OR"):
            found += self._together()
        return found

    def _together(self) -> tuple[frozenset[str], ...]:
        found = self._one()
        while self._takes("AND"):
            other = self._one()
            if len(found) * len(other) > _MOST_CHOICES:
                raise ValueError
            found = tuple(left | right for left in found for right in other)
        return found

    def _one(self) -> tuple[frozenset[str], ...]:
        if self._takes("("):
            found = self._either()
            if not self._takes(")"):
                raise ValueError
            return found
        name = self._name()
        return (frozenset({f"{name} WITH {self._name()}" if self._takes("WITH") else name}),)

    def _name(self) -> str:
        name = self._next()
        if not name or name == ")" or name.upper() in {"AND", "OR", "WITH"}:
            raise ValueError
        self._at += 1
        return name


def is_among(text: str | None, patterns: Iterable[str]) -> bool:
    """Whether one may choose a licence of which every part is named; an unknown licence is among none."""
    patterns = tuple(patterns)
    if not text or not text.strip():
        return False
    return any(all(_matches(name, patterns) for name in choice) for choice in choices(text))


def is_forbidden(text: str | None, patterns: Iterable[str]) -> bool:
    """Whether every licence that one may choose has a part that is named; an unknown licence is not."""
    patterns = tuple(patterns)
    if not text or not text.strip():
        return False
    return all(any(_matches(name, patterns) for name in choice) for choice in choices(text))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(_pattern(pattern).fullmatch(name) for pattern in patterns)


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    """`*` stands for any run of characters; case does not count."""
    parts = (re.escape(part) for part in " ".join(text.split()).split("*"))
    return re.compile(".*".join(parts), re.IGNORECASE)
