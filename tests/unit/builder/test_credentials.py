"""Specifications are stored and shown, so nothing secret may be in one."""

from __future__ import annotations

import pytest

from conda_store.builder.matchspecs import specification_problems
from conda_store.domain.specification import Specification


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://user:planted@x.example/simple",
        "--extra-index-url=https://planted@x.example/simple",
        "tool @ https://user:planted@x.example/tool-1-py3-none-any.whl",
        "tool @ git+ssh://git:planted@x.example/tool.git",
    ],
)
def test_a_pip_part_with_credentials_is_refused_without_repeating_them(line: str) -> None:
    problems = specification_problems(Specification("e", ("c",), ("python",), (line,)))
    assert [problem.path for problem in problems] == [("dependencies", 1, "pip", 0)]
    assert "credentials" in problems[0].message
    assert "planted" not in str(problems[0])


@pytest.mark.parametrize(
    "line", ["tool @ git+ssh://git@x.example/tool.git", "--index-url https://x.example/simple", "a>=1"]
)
def test_what_holds_none_passes(line: str) -> None:
    assert specification_problems(Specification("e", ("c",), ("python",), (line,))) == ()


@pytest.mark.parametrize("channel", ["https://user:planted@x.example/c", "https://x.example/t/planted/c"])
def test_channels_with_credentials_are_refused_without_repeating_them(channel: str) -> None:
    problems = specification_problems(Specification("e", (channel,), (f"{channel}::python",)))
    assert len(problems) == 2
    assert all("planted" not in str(problem) for problem in problems)
