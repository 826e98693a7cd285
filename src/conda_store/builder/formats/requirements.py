"""`requirements.txt`: pip requirements, with a Python out of the conda channels to install them into."""

from __future__ import annotations

import re
from collections.abc import Iterator

from conda_store.domain.specification import Specification, parse_pip_option, parse_specification
from conda_store.errors import InvalidSpecification, Problem

_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s--hash[= ]\S+")
_SHORT = {"-i": "--index-url"}
_UNSUPPORTED = ("-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-f", "--find-links")


def read_requirements(text: str, name: str | None) -> tuple[Specification, dict[int, int]]:
    """The specification, and the line of each entry of its pip part.

    Raises:
        InvalidSpecification: a line refers to other files, or there is no name.
    """
    problems: list[Problem] = []
    entries: list[str] = []
    lines: dict[int, int] = {}
    for number, line in _logical_lines(text):
        word, value = parse_pip_option(line)
        if word in _UNSUPPORTED:
            problems.append(Problem(f"{word} refers to a file or directory that was not handed in", (), line=number))
            continue
        lines[len(entries)] = number
        entries.append(f"{_SHORT[word]} {value}" if word in _SHORT else _HASH.sub("", line).strip())
    if problems:
        raise InvalidSpecification(tuple(problems), hint="Write out what these lines stand for.")
    return parse_specification({"name": name, "dependencies": ["python", {"pip": entries}]}), lines


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines joined where a backslash ends them, without comments, each with the number where it began."""
    pending, start = "", 1
    for number, raw in enumerate(text.splitlines(), start=1):
        if not pending:
            start = number
        if raw.rstrip().endswith("\\") and not raw.lstrip().startswith("#"):
            pending += raw.rstrip()[:-1] + " "
            continue
        line = _COMMENT.sub("", pending + raw).strip()
        pending = ""
        if line:
            yield start, line
    if pending.strip():
        yield start, pending.strip()
