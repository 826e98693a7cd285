from __future__ import annotations

import pytest

from conda_store.domain.search import MOST_TERMS, SearchTerm, WantedPackage, parse_search


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Numpy", [SearchTerm(("numpy",), WantedPackage("numpy"))]),
        ("pytorch 2.4", [SearchTerm(("pytorch", "2.4"), WantedPackage("pytorch", (("=", "2.4"),)))]),
        ("numpy >= 2 , < 3", [SearchTerm((), WantedPackage("numpy", ((">=", "2"), ("<", "3"))))]),
        ("numpy>=2,<3", [SearchTerm((), WantedPackage("numpy", ((">=", "2"), ("<", "3"))))]),
        ("a / b", [SearchTerm(("a",), WantedPackage("a")), SearchTerm(("b",), WantedPackage("b"))]),
        ("2.4", [SearchTerm(("2.4",), WantedPackage("2.4"))]),
        (">=", [SearchTerm((">=",), WantedPackage(">="))]),
        ("", []),
    ],
)  # fmt: skip
def test_what_is_typed(text: str, terms: list[SearchTerm]) -> None:
    assert list(parse_search(text)) == terms


def test_only_so_many_terms_are_looked_for() -> None:
    assert len(parse_search("a " * 50)) == MOST_TERMS


@pytest.mark.parametrize(
    ("clauses", "met", "not_met"),
    [
        ("=2.4", ["2.4", "2.4.1"], ["2.41", "2.5", "12.4"]),
        ("=2.4.*", ["2.4", "2.4.9"], ["2.5"]),
        ("==2.4", ["2.4", "2.4.0"], ["2.4.1"]),
        ("==2.*", ["2.4", "2"], ["3.0"]),
        ("!=2.*", ["3.1"], ["2.4"]),
        (">=2", ["2", "2.0", "10.1"], ["1.99", "2.0rc1"]),
        (">=2.*", ["2", "3"], ["1.9"]),
        (">=1.0", ["1.0.post1", "1.0+cu118", "1!0.5"], ["1.0rc1"]),
        (">2", ["2.0.1"], ["2", "2.0"]),
        ("<3", ["2.9", "3.0rc1"], ["3", "3.0"]),
        ("<=1.10", ["1.9", "1.10.0"], ["1.11"]),
        ("~=1.4", ["1.4", "1.9"], ["1.3", "2.0"]),
        (">=1,<2,!=1.5", ["1.4", "1.5.1"], ["1.5", "2.0"]),
    ],
)
def test_versions(clauses: str, met: list[str], not_met: list[str]) -> None:
    (term,) = parse_search(f"numpy{clauses}")
    assert [version for version in met if not term.package.is_met_by(version)] == []
    assert [version for version in not_met if term.package.is_met_by(version)] == []
