"""Scripts that name their environment themselves.

::

    #!/usr/bin/env conda-store
    #! conda-store run data/analysis:12 -- python
    print("runs in build 12 of data/analysis")
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from conda_store.errors import InvalidInput

_FIRST = re.compile(rb"#!.*conda-store\s*")
_FURTHER = re.compile(r"#!\s*conda-store\s+run\s+(.*)")
_LONGEST_HEAD = 64 * 1024


def expand_script(arguments: list[str]) -> list[str]:
    """`arguments`; where the first is such a script, the `run` that it asks for with the script and the rest after it.

    Raises:
        InvalidInput: the script says that conda-store runs it, but not in which environment.
    """
    if not arguments or arguments[0].startswith("-"):
        return arguments
    script = Path(arguments[0])
    head = _head(script)
    if head is None:
        return arguments
    wanted: list[str] = []
    for line in head:
        if match := _FURTHER.fullmatch(line.strip()):
            wanted += _split(match[1], script)
    if not wanted:
        raise InvalidInput(
            f"{script} does not say in which environment it runs",
            hint="Its second line may be: #! conda-store run <namespace>/<name> -- python",
        )
    if not _names_command(wanted):
        # without an interpreter the script would start itself again and again
        wanted += [] if wanted[-1] == "--" else ["--"]
        wanted.append("python")
    return ["run", *wanted, str(script), *arguments[1:]]


def _head(script: Path) -> list[str] | None:
    """The `#!` lines after the first, None where the file is no script of conda-store's."""
    try:
        with script.open("rb") as file:
            text = file.read(_LONGEST_HEAD) if file.read(2) == b"#!" else b""
    except (OSError, ValueError):
        return None
    first, *further = (b"#!" + text).splitlines() or [b""]
    if not _FIRST.fullmatch(first):
        return None
    lines = [line.decode(errors="replace") for line in further]
    end = next((index for index, line in enumerate(lines) if not line.startswith("#!")), len(lines))
    return lines[:end]


def _split(text: str, script: Path) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidInput(f"{script}: `{text}` cannot be read: {error}") from error


def _names_command(wanted: list[str]) -> bool:
    from conda_store.cli.run import run

    parsed = run.make_context("run", list(wanted), resilient_parsing=True)
    command = parsed.params.get("command")
    return bool(command) and not isinstance(command, click.core.Option)
