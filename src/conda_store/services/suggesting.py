"""Changes to a specification that has no solution, each of which has been tried and does solve."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from conda_store.builder.ports import SolveRequest
from conda_store.domain.access import Actor
from conda_store.domain.lock import Lock
from conda_store.domain.specification import Specification
from conda_store.errors import BuildFailed, InvalidInput
from conda_store.services.context import Context
from conda_store.services.previewing import preview_request
from conda_store.services.solving import Silent, solve_once
from conda_store.services.specifications import Submission, preferred_platform

SECONDS = 8.0
_SECONDS_EACH = 4.0
_MOST_TRIES = 12
_MOST_FOUND = 4
_QUOTED = re.compile(r"`([^`]+)`")
_MISSING = re.compile(r"^\s+(?P<name>[^\s:]+)(?:: did you mean (?P<close>[^?]+)\?)?$", re.MULTILINE)


@dataclass(frozen=True)
class Suggestion:
    """Lines of the specification and what to put in their place; None takes a line away."""

    changes: tuple[tuple[str, str | None], ...]


async def suggestions(context: Context, actor: Actor, submission: Submission) -> tuple[Suggestion, ...]:
    """Changes that solve, the smallest first; none where nothing was found within `SECONDS`, or nothing is wrong.

    Raises:
        InvalidSpecification, PolicyViolation, Forbidden: as for `submit`.
    """
    _, request = preview_request(context, actor, submission)
    deadline = time.monotonic() + SECONDS
    try:
        await solve_once(context, request)
    except InvalidInput:
        raise
    except BuildFailed as error:
        return await _found(context, request, list(_candidates(request.specification, str(error))), deadline)
    return ()


async def _found(
    context: Context, request: SolveRequest, candidates: Sequence[Suggestion], deadline: float
) -> tuple[Suggestion, ...]:
    found: dict[Suggestion, None] = {}
    for candidate in candidates[:_MOST_TRIES]:
        if found and len(candidate.changes) > 1:
            continue
        left = deadline - time.monotonic()
        if left <= 0 or len(found) == _MOST_FOUND:
            break
        lock = await _solved(context, request, candidate, min(left, _SECONDS_EACH))
        if lock is not None:
            found[_pinned(context, candidate, lock)] = None
    return tuple(found)


async def _solved(context: Context, request: SolveRequest, candidate: Suggestion, seconds: float) -> Lock | None:
    tried = replace(
        request,
        specification=_changed(request.specification, candidate),
        timeout=min(request.timeout, seconds),
        is_explained=False,
    )
    try:
        return await asyncio.wait_for(context.builder.solve(tried, Silent()), seconds)
    except (BuildFailed, TimeoutError):
        return None


def _changed(specification: Specification, suggestion: Suggestion) -> Specification:
    changes = dict(suggestion.changes)
    lines = (changes.get(line, line) for line in specification.dependencies)
    return replace(specification, dependencies=tuple(line for line in lines if line is not None))


def _pinned(context: Context, candidate: Suggestion, lock: Lock) -> Suggestion:
    """Lines that were tried without a version get the version that was found."""
    installed = preferred_platform(lock)
    changes: list[tuple[str, str | None]] = []
    for before, after in candidate.changes:
        package = installed.package(context.builder.conda_name(after)) if installed and after else None
        changes.append((before, f"{package.name}={package.version}" if package else after))
    return Suggestion(tuple(changes))


def _candidates(specification: Specification, said: str) -> Iterator[Suggestion]:
    """Other versions of one line, names that are alike, lines left out; at last all lines together."""
    lines = _suspects(specification, said)
    close = {match["name"]: re.split(r" or |, ", match["close"]) for match in _MISSING.finditer(said) if match["close"]}
    loose = {line: name for line in lines if (name := _name(line)) != line}
    yield from (Suggestion(((line, name),)) for line, name in loose.items())
    yield from (Suggestion(((line, other),)) for line in lines for other in close.get(_name(line), ()))
    yield from (Suggestion(((line, None),)) for line in lines)
    if len(loose) > 1:
        yield Suggestion(tuple(loose.items()))
    if len(lines) > 1:
        yield Suggestion(tuple((line, None) for line in lines))


def _suspects(specification: Specification, said: str) -> list[str]:
    """The lines that the explanation is about; all of them where it names none."""
    first, _, rest = said.partition("\n")
    quoted = set(_QUOTED.findall(first))
    missing = {match["name"] for match in _MISSING.finditer(rest)} | set(first.partition(": ")[2].split(", "))
    named = [line for line in specification.dependencies if line in quoted or _name(line) in missing]
    return list(dict.fromkeys(named or specification.dependencies))


def _name(line: str) -> str:
    """The line without versions: the package, with the channel where one is named."""
    return re.split(r"[\s=<>!~\[;@]", line.strip(), maxsplit=1)[0]


def replaced(text: str, suggestion: Suggestion) -> str:
    """The text of a specification with the changes made where its lines stand; as it was where they are not found."""
    for before, after in suggestion.changes:
        own_line = re.compile(rf"^([ \t]*-[ \t]*)(['\"]?){re.escape(before)}\2[ \t]*(#.*)?$\n?", re.MULTILINE)
        among_others = re.compile(rf"(?<![\w.\-=<>])(['\"]?){re.escape(before)}\1(?![\w.\-=<>])[ \t]*(,[ \t]*)?")
        if after is None:
            text, count = own_line.subn("", text)
            text = text if count else among_others.sub("", text)
        else:
            new = after
            text, count = own_line.subn(lambda match, new=new: f"{match[1]}{new}\n", text)  # type: ignore[misc]
            text = text if count else among_others.sub(lambda match, new=new: f"{new}{match[2] or ''}", text)  # type: ignore[misc]
    return text
