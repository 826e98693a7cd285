from __future__ import annotations

import pytest

from conda_store.services.suggesting import Suggestion, replaced

YAML = """name: a
dependencies:
  - numpy=1.2  # as ever
  - "pandas <2"
  - numpy=1.20
  - pip:
    - torch
"""


@pytest.mark.parametrize(
    ("changes", "gone", "there"),
    [
        ([("numpy=1.2", "numpy=2.4")], "numpy=1.2 ", "  - numpy=2.4\n"),
        ([("numpy=1.2", None)], "as ever", "  - numpy=1.20\n"),
        ([("pandas <2", "pandas=3.0")], '"pandas', "  - pandas=3.0\n"),
        ([("pandas <2", None), ("numpy=1.20", "numpy")], "pandas", "  - numpy\n"),
    ],
)
def test_lines_are_replaced_where_they_stand(changes: list[tuple[str, str | None]], gone: str, there: str) -> None:
    text = replaced(YAML, Suggestion(tuple(changes)))
    assert gone not in text
    assert there in text
    assert text.startswith("name: a\ndependencies:\n")
    assert text.endswith("  - pip:\n    - torch\n")


def test_lines_in_brackets_are_replaced() -> None:
    text = "dependencies: [numpy=1.2, 'pandas', numpy=1.20]"
    assert replaced(text, Suggestion((("numpy=1.2", None),))) == "dependencies: ['pandas', numpy=1.20]"
    assert replaced(text, Suggestion((("pandas", "polars"),))) == "dependencies: [numpy=1.2, polars, numpy=1.20]"


def test_what_is_not_there_changes_nothing() -> None:
    assert replaced(YAML, Suggestion((("scipy", "scipy=1"),))) == YAML
