"""What people type to find environments: words, and packages with versions (`pytorch 2.4`, `numpy>=2,<3`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from conda_store.domain.difference import version_key

MOST_TERMS = 8
_OPERATOR = r"==|>=|<=|!=|~=|=|>|<"
_SPACED = re.compile(rf"\s*({_OPERATOR}|,)\s*")
_PACKAGE = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.\-]*)((?:(?:==|>=|<=|!=|~=|=|>|<)[^=<>!~,\s]+,?)+)")
_CLAUSE = re.compile(rf"({_OPERATOR})([^=<>!~,\s]+)")
_VERSION = re.compile(r"\d+(\.\w+)*(\.?\*)?")
_ZEROS = re.compile(r"(\.0)+(?=$|[a-z])")


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
    if operator in {"=", "~="} or wanted.endswith("*"):
        begin = wanted.rstrip("*").rstrip(".")
        if operator == "~=":
            return _key(version) >= _key(begin) and _begins(version, begin.rpartition(".")[0] or begin)
        return _begins(version, begin) is not (operator == "!=")
    found, limit = _key(version), _key(wanted)
    if operator == "==":
        return found == limit
    if operator == "!=":
        return found != limit
    if operator in {">=", "<="}:
        return found >= limit if operator == ">=" else found <= limit
    return found > limit if operator == ">" else found < limit


def _begins(version: str, begin: str) -> bool:
    return version == begin or version.startswith(f"{begin}.")


def _key(version: str) -> tuple[tuple[int, int, str], ...]:
    return version_key(_ZEROS.sub("", version))
