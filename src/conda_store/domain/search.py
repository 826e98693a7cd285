"""What people type to find environments: words, and packages with versions (`pytorch 2.4`, `numpy>=2,<3`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from conda_store.domain.versions import compare_versions

MOST_TERMS = 8
_OPERATOR = r"==|>=|<=|!=|~=|=|>|<"
_SPACED = re.compile(rf"\s*({_OPERATOR}|,)\s*")
_PACKAGE = re.compile(rf"([A-Za-z0-9_][A-Za-z0-9_.\-]*)((?:(?:{_OPERATOR})[^=<>!~,\s]+,?)+)")
_CLAUSE = re.compile(rf"({_OPERATOR})([^=<>!~,\s]+)")
_VERSION = re.compile(r"\d+(\.\w+)*(\.?\*)?")


@dataclass(frozen=True)
class WantedPackage:
    """A package by its name (lower case), and what its version has to be: `(operator, version)` each."""

    name: str
    clauses: tuple[tuple[str, str], ...] = ()

    def is_met_by(self, version: str) -> bool:
        return all(_holds(version, operator, wanted) for operator, wanted in self.clauses)


@dataclass(frozen=True)
class SearchTerm:
    """Met where every one of `words` is in a name or the description, or where `package` is installed."""

    words: tuple[str, ...]
    package: WantedPackage


def parse_search(text: str) -> tuple[SearchTerm, ...]:
    """Terms that must all be met. A version behind a word is taken as that of a package, or as a word."""
    terms: list[SearchTerm] = []
    for token in _SPACED.sub(r"\1", text.replace("/", " ")).lower().split():
        match = _PACKAGE.fullmatch(token)
        if match:
            clauses = tuple((found[1], found[2]) for found in _CLAUSE.finditer(match[2]))
            terms.append(SearchTerm((), WantedPackage(match[1], clauses)))
        elif _VERSION.fullmatch(token) and terms and len(terms[-1].words) == 1:
            word = terms.pop().words[0]
            terms.append(SearchTerm((word, token), WantedPackage(word, (("=", token),))))
        else:
            terms.append(SearchTerm((token,), WantedPackage(token)))
    return tuple(terms[:MOST_TERMS])


def _holds(version: str, operator: str, wanted: str) -> bool:
    beginning = wanted.rstrip("*").rstrip(".")
    if operator == "=" or (wanted.endswith("*") and operator in {"==", "!="}):
        return _begins(version, beginning) is not (operator == "!=")
    order = compare_versions(version, beginning)
    if operator == "~=":
        return order >= 0 and _begins(version, beginning.rpartition(".")[0] or beginning)
    return {"==": order == 0, "!=": order != 0, ">=": order >= 0, "<=": order <= 0, ">": order > 0, "<": order < 0}[
        operator
    ]


def _begins(version: str, begin: str) -> bool:
    return version == begin or version.startswith(f"{begin}.")
