"""Specifications in the forms in which people hand them in.

`environment.yaml` (YAML or JSON), `conda-lock` (version 1), `pixi.toml` and `pixi.lock` (one environment of it:
`pixi.toml:NAME`), `explicit` (`@EXPLICIT` lists) and `requirements.txt`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from conda_store.builder.formats.conda_lock import read_conda_lock
from conda_store.builder.formats.documents import Document, decoded
from conda_store.builder.formats.environment import read_environment
from conda_store.builder.formats.explicit import MARK, read_explicit
from conda_store.builder.formats.pixi_manifest import read_pixi_manifest
from conda_store.builder.formats.requirements import read_requirements
from conda_store.domain.specification import AnySpecification, Specification
from conda_store.errors import InvalidSpecification, Problem

FORMATS = ("environment.yaml", "conda-lock", "pixi.toml", "pixi.lock", "explicit", "requirements.txt")
_ALIASES = {
    "environment.yml": "environment.yaml", "yaml": "environment.yaml", "json": "environment.yaml",
    "lockfile": "conda-lock", "conda-lock.yml": "conda-lock", "conda-lock.yaml": "conda-lock",
    "pixi": "pixi.toml", "requirements": "requirements.txt", "explicit.txt": "explicit",
}  # fmt: skip
_TABLE = re.compile(r"^\s*\[(workspace|project|dependencies|pypi-dependencies|feature|environments)\b", re.MULTILINE)
_KEY = re.compile(r"^\s*(['\"]?)[A-Za-z_-]+\1\s*:(\s|$)", re.MULTILINE)
_REQUIREMENT = re.compile(r"^\s*(--?[a-z][a-z-]*[ =]\S|[A-Za-z0-9][\w.\-]*\s*(\[|[<>=!~]=?|;|@|$))")

Problems = Callable[[Specification], tuple[Problem, ...]]


def read(
    text: bytes,
    *,
    format: str | None,
    name: str | None,
    problems: Problems,
) -> AnySpecification:
    """The specification in a file's text; `format=None` finds out which form it has.

    `name` fills in where the form has no name; a lock and a list have none. `problems` checks the grammar of match
    specs and requirements.

    Raises:
        InvalidSpecification: with line or path of each problem.
    """
    content = decoded(text)
    form, environment = _parse_format(format, content)
    if form == "explicit":
        return read_explicit(content, name)
    if form == "requirements.txt":
        specification, lines = read_requirements(content, name)
        found = tuple(
            replace(problem, line=lines.get(problem.path[-1]) if isinstance(problem.path[-1], int) else None)
            for problem in problems(specification)
        )
        return _checked(specification, found)
    if form == "pixi.toml":
        specification = read_pixi_manifest(content, environment, name)
        return _checked(specification, problems(specification))
    document = Document(content)
    try:
        return _read_document(form, document, content, environment, name, problems)
    except InvalidSpecification as error:
        if error.problems and error.problems[0].path:
            raise document.with_lines(error) from error
        raise


def _read_document(
    form: str,
    document: Document,
    content: str,
    environment: str,
    name: str | None,
    problems: Problems,
) -> AnySpecification:
    if form == "conda-lock":
        return read_conda_lock(document.value, name)
    if form == "pixi.lock":
        from conda_store.builder.formats.pixi_lock import read_pixi_lock

        return read_pixi_lock(document, content, environment, name)
    specification = read_environment(document, name)
    return _checked(specification, _at_their_places(problems(specification), document))


def _checked(specification: Specification, found: tuple[Problem, ...]) -> Specification:
    if found:
        raise InvalidSpecification(found)
    return specification


def _at_their_places(found: tuple[Problem, ...], document: Document) -> tuple[Problem, ...]:
    """Problems count dependencies without the pip block; in the document it may stand anywhere among them."""
    items = document.value.get("dependencies", [])
    conda = [index for index, item in enumerate(items) if isinstance(item, str)]
    pip = [
        (index, position)
        for index, item in enumerate(items)
        if isinstance(item, dict)
        for position, _ in enumerate(item["pip"])
    ]
    return tuple(_moved(problem, conda, pip) for problem in found)


def _moved(problem: Problem, conda: list[int], pip: list[tuple[int, int]]) -> Problem:
    match problem.path:
        case ("dependencies", int(index)):
            return replace(problem, path=("dependencies", conda[index]))
        case ("dependencies", int(), "pip", int(position)):
            block, line = pip[position]
            return replace(problem, path=("dependencies", block, "pip", line))
    return problem


def _parse_format(format: str | None, content: str) -> tuple[str, str]:
    """The form and, after a colon, the environment meant."""
    if not format:
        return detect(content), "default"
    form, _, environment = format.partition(":")
    form = _ALIASES.get(form.lower(), form.lower())
    if form not in FORMATS:
        raise InvalidSpecification(f"Unknown format {format[:80]!r}", hint=f"Formats are {', '.join(FORMATS)}.")
    return form, environment or "default"


def detect(content: str) -> str:
    """Which form a text has; a text that is nothing else is taken for an `environment.yaml`."""
    lines = [line for line in content.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if any(line.strip() == MARK for line in lines[:20]):
        return "explicit"
    if content.lstrip().startswith("{"):
        return "conda-lock" if '"package"' in content and '"metadata"' in content else "environment.yaml"
    top = {line.partition(":")[0].strip("\"' ") for line in lines if not line[0].isspace() and ":" in line}
    if {"metadata", "package"} <= top:
        return "conda-lock"
    if {"version", "environments", "packages"} <= top:
        return "pixi.lock"
    if _TABLE.search(content):
        return "pixi.toml"
    if lines and not _KEY.search(content) and all(_REQUIREMENT.match(line) for line in lines[:20]):
        return "requirements.txt"
    return "environment.yaml"
