"""The grammar of what a specification asks for: match specs, pip requirements and pip options."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from rattler import MatchSpec

from conda_store.builder.failures import redacted
from conda_store.domain.channel import channel_url, without_credentials
from conda_store.domain.specification import PIP_OPTIONS, Specification, parse_pip_option
from conda_store.errors import InvalidSpecification, Problem

MAX_LENGTH = 2000
# a specification is stored, and shown to all who may read its environment
# a password anywhere, a lone token before a web host, a token in the path; `git+ssh://git@host` is none of them
_URL_CREDENTIALS = re.compile(r"https?://[^/\s@]+@|://[^/\s:@]*:[^/\s@]+@|://[^/\s]+/t/[^/\s]+/", re.IGNORECASE)
_CREDENTIALS = "The channel's URL holds credentials; leave them out, the service is given its own"
# others an activation script cannot set
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_OF_A_BUILD = re.compile(r"[ <>=!~|,]")
_URL = re.compile(r"[a-z][a-z0-9+.\-]{0,15}://[^\s'\"\]<>]+", re.IGNORECASE)


def specification_problems(specification: Specification) -> tuple[Problem, ...]:
    """One problem for each match spec, requirement, option or name of a variable that cannot be read, and for each
    channel that is named with credentials, with its path in the document."""
    problems = [
        Problem(_CREDENTIALS, ("channels", index))
        for index, channel in enumerate(specification.channels)
        if _has_credentials(channel)
    ]
    for index, text in enumerate(specification.dependencies):
        if any(_has_credentials(url.partition("::")[0]) for url in _URL.findall(text)):
            problems.append(Problem(_CREDENTIALS, ("dependencies", index)))
        elif problem := _problem(text, parse_match_spec):
            problems.append(replace(problem, path=("dependencies", index)))
    pip_path = ("dependencies", len(specification.dependencies), "pip")
    for index, line in enumerate(specification.pip or ()):
        if problem := _pip_problem(line):
            problems.append(replace(problem, path=(*pip_path, index)))
    for name in specification.variables or ():
        if not _VARIABLE.fullmatch(name):
            message = f"{name!r} is no name of a variable that a shell can set"
            hint = "Such names have letters, digits and `_`, and no digit at the beginning."
            problems.append(Problem(message, ("variables", name), hint=hint))
    return tuple(problems)


def _has_credentials(channel: str) -> bool:
    """Whether a channel is a URL that names a user or a token."""
    try:
        return "://" in channel and without_credentials(channel) != urlunsplit(urlsplit(channel))
    except ValueError:
        return False  # no URL at all: asking for it will say so


def _problem(text: str, parse: Callable[[str], object]) -> Problem | None:
    try:
        parse(text)
    except InvalidSpecification as error:
        return replace(error.problems[0], hint=f"{_shown(text)}: {redacted(error.hint)}")
    return None


@lru_cache(maxsize=4096)
def parse_match_spec(text: str) -> MatchSpec:
    """A match spec, read leniently: `numpy=1.26.4=py311h_0`, `python=3.11.*` and `numpy 1.26` are accepted.

    Raises:
        InvalidSpecification: its hint says what the matter is.
    """
    message = f"Invalid conda package dependency specification {_shown(text)}"
    if len(text) > MAX_LENGTH:
        raise InvalidSpecification(message, hint=f"it is longer than {MAX_LENGTH} characters")
    if not text.isprintable():
        raise InvalidSpecification(message, hint="it holds a line break or a control character")
    try:
        spec = MatchSpec(text)
    except Exception as error:
        raise InvalidSpecification(message, hint=str(error).splitlines()[0][:300]) from error
    if 'url="' in str(spec):
        raise InvalidSpecification(
            message, hint="a package is named by its URL only in a lock or an explicit list; write channel::name here"
        )
    # a build that begins with ^ is a regular expression
    if spec.build and spec.build[0] != "^" and (odd := _NOT_OF_A_BUILD.search(spec.build)):
        hint = "name, version and build are all that words can name"
        if odd[0] != " ":
            hint = f"{odd[0]!r} is in no build string; bounds of a version are joined by a comma: numpy >=1.26,<2"
        raise InvalidSpecification(message, hint=hint)
    return spec


def conda_name(text: str) -> str:
    """The package name in a match spec, in lower case.

    Raises:
        InvalidSpecification: it is no match spec.
    """
    return str(parse_match_spec(text).name.normalized)


def pypi_name(text: str) -> str:
    """The distribution name in a requirement, normalized (PEP 503).

    Raises:
        InvalidSpecification: it is no requirement (PEP 508).
    """
    return canonicalize_name(parse_requirement(text).name)


@lru_cache(maxsize=4096)
def parse_requirement(text: str) -> Requirement:
    """
    Raises:
        InvalidSpecification: it is no requirement (PEP 508).
    """
    try:
        if len(text) > MAX_LENGTH:
            raise InvalidRequirement(f"it is longer than {MAX_LENGTH} characters")
        return Requirement(text)
    except InvalidRequirement as error:
        hint = next((hint for start, hint in _PIP_HINTS.items() if text.startswith(start)), str(error).splitlines()[0])
        raise InvalidSpecification(_pypi_message(text), hint=hint) from error


def with_channel_urls(text: str, alias: str) -> MatchSpec:
    """A match spec whose `channel::` is the URL that the alias gives, since rattler knows no alias."""
    spec = parse_match_spec(text)
    if spec.channel is None or "::" not in text:
        return spec
    channel, _, rest = text.partition("::")
    return parse_match_spec(f"{channel_url(channel, alias)}::{rest}")


def pip_urls(specification: Specification) -> Iterator[str]:
    """Where the pip part sends uv: URLs, and what is none and so a path."""
    for name, value in map(parse_pip_option, specification.pip_options):
        if name != "--trusted-host":
            yield value
    for line in specification.pip_requirements:
        if url := parse_requirement(line).url:
            yield url


def _pip_problem(line: str) -> Problem | None:
    if "${" in line:
        return Problem("The pip part holds `${`, where uv would put variables of the service: write what is meant")
    if _URL_CREDENTIALS.search(line):
        return Problem("The pip part holds a URL with credentials; leave them out, specifications are stored and shown")
    if line.startswith("--"):
        option, value = parse_pip_option(line)
        if option in PIP_OPTIONS and value and line.isprintable():
            return None
        return Problem(f"Invalid pip option {_shown(line)!r} supported options are {list(PIP_OPTIONS)}")
    return _problem(line, parse_requirement)


_NO_FILES = "the service has no other file than this one: write what is in that file here"
_PIP_HINTS = {
    **dict.fromkeys(("-r", "-c", "-e", ".", "/"), _NO_FILES),
    **dict.fromkeys(("git+", "http:", "https:"), "a URL needs a name before it, as in `name @ https://...`"),
}


def _pypi_message(text: str) -> str:
    return (
        f'Invalid pypi package dependency "{_shown(text)}" ensure it follows peps '
        "https://peps.python.org/pep-0508/ and https://peps.python.org/pep-0440/"
    )


def _shown(text: str) -> str:
    text = redacted(text)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= 200 else f"{text[:200]}…"
