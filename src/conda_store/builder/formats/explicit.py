"""Explicit lists: a line `@EXPLICIT`, then one package URL a line, perhaps with `#<md5>` or `#sha256:<digest>`.

The pip part stands in comments, as conda-lock writes them: `# pip <name> @ <URL> --hash=sha256:<digest>`.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

from conda_store.builder.formats.conda_lock import read_conda_lock
from conda_store.domain.conda_lock import split_file_name
from conda_store.domain.platform import Platform, current_platform
from conda_store.domain.specification import LockfileSpecification
from conda_store.errors import InvalidSpecification, Problem

MARK = "@EXPLICIT"
_PLATFORM = re.compile(r"#\s*platform:\s*(\S+)")
_PIP = re.compile(r"#\s*pip\s+(?P<name>\S+)\s+@\s+(?P<url>\S+)(?P<hashes>(\s+--hash=\w+:\w+)*)$")


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
        match = _PIP.match(line)
        if not line or (line.startswith("#") and not match) or line == MARK:
            continue
        try:
            packages.append(_pip_package(match) if match else _package(line))
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
    return _entry("conda", name, version, url, _hash(fragment)) | {"build": build}


def _pip_package(match: re.Match[str]) -> dict[str, Any]:
    url = match["url"]
    hashes = (text.removeprefix("--hash=").partition(":") for text in match["hashes"].split())
    return _entry("pip", match["name"], _pip_version(url), url, {kind: digest for kind, _, digest in hashes})


def _pip_version(url: str) -> str:
    """The version in the name of a distribution's file; of a repository its revision."""
    file = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    try:
        if file.endswith(".whl"):
            return str(parse_wheel_filename(file)[1])
        return str(parse_sdist_filename(file)[1])
    except (InvalidWheelFilename, InvalidSdistFilename):
        return file.rpartition("@")[2] or "0"


def _entry(manager: str, name: str, version: str, url: str, hashes: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "manager": manager,
        "platform": "",
        "dependencies": {},
        "url": url,
        "hash": hashes,
        "category": "main",
        "optional": False,
    }


def _hash(fragment: str) -> dict[str, str]:
    if not fragment:
        return {}
    kind, separator, digest = fragment.rpartition(":")
    return {kind if separator else "md5": digest}


def _document(packages: list[dict[str, Any]], declared: str | None) -> dict[str, Any]:
    urls = [package["url"] for package in packages if package["manager"] == "conda"]
    subdirs = [url.split("/")[-2] for url in urls]
    platform = declared or next((subdir for subdir in subdirs if subdir in set(Platform)), current_platform().value)
    channels = dict.fromkeys(url.rsplit("/", 2)[0] for url in urls)
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
