"""Explicit lists: a line `@EXPLICIT`, then one package URL a line, perhaps with `#<md5>` or `#sha256:<digest>`."""

from __future__ import annotations

import re
from typing import Any

from conda_store.builder.formats.conda_lock import read_conda_lock
from conda_store.domain.conda_lock import split_file_name
from conda_store.domain.platform import Platform, current_platform
from conda_store.domain.specification import LockfileSpecification
from conda_store.errors import InvalidSpecification, Problem

MARK = "@EXPLICIT"
_PLATFORM = re.compile(r"#\s*platform:\s*(\S+)")


def read_explicit(text: str, name: str | None) -> LockfileSpecification:
    """A lock of the packages in the list. It knows no dependencies: the list does not hold them.

    Raises:
        InvalidSpecification: a line is no package URL.
    """
    problems: list[Problem] = []
    packages: list[dict[str, Any]] = []
    lines: list[int] = []
    declared = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if match := _PLATFORM.match(line):
            declared = match[1]
        if not line or line.startswith("#") or line == MARK:
            continue
        try:
            packages.append(_package(line))
            lines.append(number)
        except InvalidSpecification as error:
            problems.append(Problem(error.problems[0].message, (), line=number))
    if problems:
        raise InvalidSpecification(tuple(problems[:50]), hint="A line is a URL, as `conda list --explicit` writes it.")
    document = _document(packages, declared)
    try:
        return read_conda_lock(document, name)
    except InvalidSpecification as error:
        of_lines = [problem for problem in error.problems if problem.path[:1] == ("package",)]
        raise InvalidSpecification(tuple(_in_text(problem, lines) for problem in of_lines or error.problems)) from error


def _package(line: str) -> dict[str, Any]:
    url, _, fragment = line.partition("#")
    if "://" not in url:
        raise InvalidSpecification((Problem(f"{line[:200]!r} is no URL of a package"),))
    name, version, build = split_file_name(url)
    return {
        "name": name,
        "version": version,
        "manager": "conda",
        "platform": "",
        "dependencies": {},
        "url": url,
        "hash": _hash(fragment),
        "category": "main",
        "optional": False,
        "build": build,
    }


def _hash(fragment: str) -> dict[str, str]:
    if not fragment:
        return {}
    kind, separator, digest = fragment.rpartition(":")
    return {kind if separator else "md5": digest}


def _document(packages: list[dict[str, Any]], declared: str | None) -> dict[str, Any]:
    subdirs = [package["url"].split("/")[-2] for package in packages]
    platform = declared or next((subdir for subdir in subdirs if subdir in set(Platform)), current_platform().value)
    channels = dict.fromkeys(package["url"].rsplit("/", 2)[0] for package in packages)
    for package in packages:
        package["platform"] = platform
    return {
        "version": 1,
        "metadata": {
            "content_hash": {platform: ""},
            "channels": [{"url": channel, "used_env_vars": []} for channel in channels],
            "platforms": [platform],
            "sources": [],
        },
        "package": packages,
    }


def _in_text(problem: Problem, lines: list[int]) -> Problem:
    """A problem of the document made from the list, told with the line of the list."""
    match problem.path:
        case ("package", int(index), *_):
            return Problem(problem.message, (), problem.kind, lines[index])
        case ("name",):
            return problem
    return Problem(problem.message, (), problem.kind)
