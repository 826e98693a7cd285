"""What a channel shall hold, as a TOML file says.

    odd = true                        # the packages of oddities.py
    tools = ["jq"]                    # programs out of Debian, see libraries.py
    platforms = ["osx-arm64"]         # stand-ins for other platforms, see stand_ins.py

    [python]
    "3.11" = "auto"                   # see interpreter.py

    [[stack]]                         # any number; each is resolved on its own
    python = ["3.11"]                 # all if left out
    packages = ["numpy", "dask[distributed]", "pandas==2.1.4"]

Tables of other names are left to other readers of the file.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .process import ChannelError


@dataclass(frozen=True)
class Stack:
    """Requirements that are resolved together, once for every Python."""

    packages: tuple[str, ...]
    pythons: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """`pythons`: minor version -> source of the interpreter."""

    pythons: dict[str, str]
    stacks: tuple[Stack, ...]
    tools: tuple[str, ...]
    platforms: tuple[str, ...]
    odd: bool


def read_plan(path: Path) -> Plan:
    try:
        text = tomllib.loads(path.read_text())
    except OSError as error:
        raise ChannelError(f"cannot read the package list {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ChannelError(f"{path} is no TOML: {error}") from error
    pythons = text.get("python", {})
    if not pythons:
        raise ChannelError(f"{path} names no Python", 'add a table: [python] with "3.11" = "auto"')
    return Plan(
        pythons=pythons,
        stacks=tuple(_stack(stack, pythons, path) for stack in text.get("stack", [])),
        tools=tuple(text.get("tools", [])),
        platforms=tuple(text.get("platforms", [])),
        odd=bool(text.get("odd", False)),
    )


def _stack(table: dict[str, Any], pythons: dict[str, str], path: Path) -> Stack:
    wanted = tuple(table.get("python", pythons))
    unknown = set(wanted) - set(pythons)
    if unknown:
        named = ", ".join(sorted(unknown))
        raise ChannelError(f"a stack in {path} is for Python {named}", "add it to the table [python]")
    return Stack(tuple(table["packages"]), wanted)
