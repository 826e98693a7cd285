"""Why a specification has no solution, for people.

The solver's own text names packages deep down and is silent about the specification's lines that excluded the rest.
So the smallest set of lines that cannot go together is looked for first, by solving without each of them in turn.
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from conda_store.domain.platform import Platform
from conda_store.errors import Unsolvable

Attempt = Callable[[Sequence[str]], Awaitable[str | None]]
"""The solver's text where the match specs have no solution, None where they have one."""

MAX_LINES = 60
SEARCH_SECONDS = 10.0
_MISSING = re.compile(r"(?P<name>[a-z0-9_][a-z0-9_.\-]*)(?P<rest>[^\n]*?), for which no candidates were found")
_BRANCH = re.compile(r"^[│├└─\s]*")
_REPEATED = re.compile(r"^([│├└─\s]*)(.+), which conflicts with the versions reported above\.?$")


@dataclass(frozen=True)
class Failure:
    """A solve that failed: `dependencies` are the specification's lines by package name."""

    platform: Platform
    dependencies: dict[str, list[str]]
    text: str
    virtual_packages: tuple[str, ...]


def missing_names(
    wanted: Iterable[str], available: dict[Platform, set[str]], channels: Sequence[str]
) -> Unsolvable | None:
    """The error that names every package that the channels do not have, with what may have been meant."""
    lines, names = [], []
    everything = set().union(*available.values())
    for name in sorted(set(wanted)):
        lacking = [platform.value for platform, found in available.items() if name not in found]
        if not lacking or name.startswith("__"):
            continue
        names.append(name)
        if name in everything:
            lines.append(f"  {name}: not for {', '.join(lacking)}")
            continue
        if close := difflib.get_close_matches(name, everything, n=3, cutoff=0.75):
            lines.append(f"  {name}: did you mean {' or '.join(close)}?")
    if not names:
        return None
    noun = "Package" if len(names) == 1 else "Packages"
    return Unsolvable(
        "\n".join(
            [f"{noun} not found in the channels: {', '.join(names)}", *lines, f"Channels: {', '.join(channels)}"]
        ),
        hint="Correct the names, or add the channel that has them.",
    )


async def smallest_conflict(lines: Sequence[str], attempt: Attempt, text: str) -> tuple[list[str], str]:
    """The fewest lines that still have no solution, and what the solver says of those; bounded in time."""
    deadline = time.monotonic() + SEARCH_SECONDS
    core = list(lines)
    for line in lines:
        if time.monotonic() > deadline or len(core) == 1:
            break
        without = [other for other in core if other is not line]
        if (said := await attempt(without)) is not None:
            core, text = without, said
    return core, text


def explanation(failure: Failure, core: Sequence[str]) -> Unsolvable:
    """The error for a solve that failed because of the lines in `core`."""
    quoted = [f"`{line}`" for line in core]
    if len(quoted) == 1:
        first = f"{quoted[0]} cannot be installed on {failure.platform.value}"
    else:
        first = f"{', '.join(quoted[:-1])} and {quoted[-1]} cannot be installed together on {failure.platform.value}"
    notes = _notes(failure, core)
    details = tidy(failure.text)
    return Unsolvable("\n".join([first, *(f"  {line}" for line in details)]), hint="\n".join(notes))


def tidy(text: str) -> list[str]:
    """The solver's lines: its preamble gone, repetitions told once, no more than `MAX_LINES`."""
    body = text.strip().removeprefix("Cannot solve the request because of: ")
    lines: list[str] = []
    for raw in body.splitlines():
        line = raw.rstrip()
        if not line or (lines and _content(line) == _content(lines[-1])):
            continue
        lines.append(line)
    lines = _joined(lines)
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], f"… and {len(lines) - MAX_LINES} more lines"]
    return lines


def _joined(lines: Sequence[str]) -> list[str]:
    """Versions that fail for the same reason, in one line."""
    result: list[str] = []
    names: list[str] = []
    for line in lines:
        match = _REPEATED.match(line)
        if match is None:
            names = []
            result.append(line)
            continue
        package = match[2].strip()
        if names:
            result.pop()
        if package not in names:
            names.append(package)
        shown = names if len(names) <= 3 else [names[0], "…", names[-1]]
        result.append(f"{match[1]}{' | '.join(shown)} conflict{'s' if len(names) == 1 else ''} with the versions above")
    return result


def _content(line: str) -> str:
    return _BRANCH.sub("", line)


def _notes(failure: Failure, core: Sequence[str]) -> list[str]:
    notes: dict[str, None] = {}
    for match in _MISSING.finditer(failure.text):
        name, wanted = match["name"], f"{match['name']}{match['rest']}".strip().removesuffix(" *")
        if name.startswith("__"):
            notes[_virtual_note(failure, name, wanted)] = None
        elif asked := [line for line in failure.dependencies.get(name, []) if line in core]:
            notes[f"`{wanted}` is needed, while the specification asks for `{'`, `'.join(asked)}`."] = None
    if "not in requested channel" in failure.text:
        notes["A match spec with `channel::` takes packages only from a channel that is listed under `channels`."] = (
            None
        )
    if "strict channel priority" in failure.text.lower():
        notes["With strict channel priority a package is taken from the first channel that has it by name."] = None
    return list(notes)[:5] or ["Loosen or remove one of these lines."]


def _virtual_note(failure: Failure, name: str, wanted: str) -> str:
    variable = f"CONDA_OVERRIDE_{name.removeprefix('__').upper()}"
    present = next((text for text in failure.virtual_packages if text.startswith(f"{name}=")), None)
    if present is not None:
        return (
            f"`{wanted}` is needed, while {failure.platform.value} is taken to provide `{present}`; "
            f"`variables: {{{variable}: ...}}` in the specification says otherwise."
        )
    return (
        f"`{wanted}` is needed, and nothing provides {name} on {failure.platform.value}; where the environment will "
        f"run on machines that do, put `{variable}` with the version into the specification's `variables`."
    )
