"""The scripts of an archive: activation, and conda-unpack with its list of files."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

import conda_store
from conda_store.artifacts.relocation import OWN_PLACEHOLDER, Rewritten

LAUNCHER = "bin/conda-unpack"
_PROGRAM = "share/conda-store/conda-unpack.py"
_LIST = "share/conda-store/conda-unpack.files"
UNPACK_FILES = frozenset({LAUNCHER, _PROGRAM, _LIST})

_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def environment_variables(prefix: Path) -> dict[str, str]:
    """What the environment sets when it is activated: `etc/conda/env_vars.d`, and over it `conda-meta/state`."""
    variables: dict[str, str] = {}
    for file in sorted((prefix / "etc/conda/env_vars.d").glob("*.json")):
        variables |= json.loads(file.read_bytes())
    state = prefix / "conda-meta/state"
    if state.is_file():
        variables |= json.loads(state.read_bytes()).get("env_vars", {})
    return {name: str(value) for name, value in variables.items() if _SHELL_NAME.fullmatch(name)}


def activation_scripts(variables: Mapping[str, str]) -> dict[str, bytes]:
    """`bin/activate`, `bin/deactivate` and `bin/activate.fish`, which also set and reset the variables."""
    ordered = sorted(variables.items())
    posix = {
        "SET_VARIABLES": _lines(4, (line for name, value in ordered for line in _set_posix(name, value))),
        "UNSET_VARIABLES": _lines(4, (line for name, _ in ordered for line in _unset_posix(name))),
        "PREFIX": OWN_PLACEHOLDER.decode(),
    }
    fish = {
        "SET_VARIABLES": _lines(0, (line for name, value in ordered for line in _set_fish(name, value))),
        "UNSET_VARIABLES": _lines(8, (line for name, _ in ordered for line in _unset_fish(name))),
    }
    return {
        "bin/activate": render("activate", posix),
        "bin/deactivate": render("deactivate", posix),
        "bin/activate.fish": render("activate.fish", fish),
    }


def unpack_scripts(rewrites: Iterable[Rewritten]) -> dict[str, bytes]:
    """`bin/conda-unpack`, its Python part, and the list of files that it rewrites."""
    lines: list[bytes] = []
    current = None
    for placeholder, rewrite, path in sorted(rewrites):
        if placeholder != current:
            lines.append(b"P " + placeholder)
            current = placeholder
        escaped = path.replace("\\", "\\\\").replace("\n", "\\n")
        lines.append(f"{rewrite.value} {escaped}".encode("utf-8", "surrogateescape"))
    return {
        LAUNCHER: render("conda-unpack.sh", {"VERSION": conda_store.__version__}),
        _PROGRAM: render("conda_unpack.py", {}),
        _LIST: b"".join(line + b"\n" for line in lines),
    }


def render(template: str, values: Mapping[str, str]) -> bytes:
    """A template with each `@NAME@` replaced."""
    text = _template(template)
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text.encode()


@cache
def _template(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text()


def _lines(indent: int, lines: Iterable[str]) -> str:
    return "\n".join(" " * indent + line for line in lines)


def _set_posix(name: str, value: str) -> tuple[str, ...]:
    return (
        f'if [ -n "${{{name}+x}}" ]; then _ENV_OLD_{name}=${name}; fi',
        f"export {name}={shlex.quote(value)}",
    )


def _unset_posix(name: str) -> tuple[str, ...]:
    return (
        f'if [ -n "${{_ENV_OLD_{name}+x}}" ]; then {name}=$_ENV_OLD_{name}; unset _ENV_OLD_{name}; '
        f"else unset {name}; fi",
    )


def _set_fish(name: str, value: str) -> tuple[str, ...]:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return (f"set -q {name}; and set -g _ENV_OLD_{name} ${name}", f"set -gx {name} '{quoted}'")


def _unset_fish(name: str) -> tuple[str, ...]:
    return (
        f"if set -q _ENV_OLD_{name}; set -gx {name} $_ENV_OLD_{name}; set -e _ENV_OLD_{name}; else; set -e {name}; end",
    )
