from __future__ import annotations

import pytest

from conda_store.domain.licenses import choices, is_among, is_forbidden


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MIT", ["MIT"]),
        ("MIT OR Apache-2.0", ["MIT", "Apache-2.0"]),
        ("MIT AND (PSF-2.0 or BSD-3-Clause)", ["MIT PSF-2.0", "BSD-3-Clause MIT"]),
        ("GPL-3.0-only WITH GCC-exception-3.1", ["GPL-3.0-only WITH GCC-exception-3.1"]),
        ("BSD License", ["BSD License"]),
        ("MIT OR", ["MIT OR"]),
        ("(MIT", ["(MIT"]),
        ("Proprietary -  see LICENSE (2020)", ["Proprietary - see LICENSE (2020)"]),
    ],
)
def test_expressions_are_read_and_words_are_one_licence(text: str, found: list[str]) -> None:
    given = choices(text)
    assert len(given) == len(found)
    for one, other in zip(given, found, strict=True):
        assert " ".join(sorted(one)) == other or one == {other}


@pytest.mark.parametrize(
    ("text", "patterns", "forbidden", "among"),
    [
        ("MIT", ["mit"], True, True),
        ("MIT", ["MI"], False, False),
        ("AGPL-3.0-only", ["AGPL-*"], True, True),
        ("MIT OR AGPL-3.0-only", ["AGPL-*"], False, True),
        ("MIT AND AGPL-3.0-only", ["AGPL-*"], True, False),
        ("MIT AND AGPL-3.0-only", ["AGPL-*", "MIT"], True, True),
        ("GPL-3.0-only WITH GCC-exception-3.1", ["GPL-3.0-only"], False, False),
        ("a.b", ["axb"], False, False),
        (None, ["*"], False, False),
        ("  ", ["*"], False, False),
    ],
)
def test_which_licences_patterns_name(text: str | None, patterns: list[str], forbidden: bool, among: bool) -> None:
    assert is_forbidden(text, patterns) is forbidden
    assert is_among(text, patterns) is among


def test_a_long_expression_ends_soon() -> None:
    text = " AND ".join(f"(a{number} OR b{number})" for number in range(40))
    assert len(choices(text)) == 1
    assert len(choices("(" * 100_000)) == 1
