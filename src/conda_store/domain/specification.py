"""What somebody asks for: an environment's specification, and its hash.

Two kinds: `Specification` (names, channels, dependencies: to be solved) and `LockfileSpecification` (a lock
in conda-lock's v1 format, taken as it is). Both have `name`, `description`, `model()` and `sha256`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from conda_store.domain.names import name_problem
from conda_store.errors import InvalidSpecification, Problem

LARGEST_SPECIFICATION = 10 * 1024**2  # bytes
PIP_OPTIONS = ("--index-url", "--extra-index-url", "--trusted-host")
_KEYS = frozenset({"name", "channels", "dependencies", "description", "prefix", "variables"})


@dataclass(frozen=True)
class Specification:
    """An `environment.yaml`, parsed.

    `dependencies` keep the order in which they were handed in; `pip` is None where there is no pip block. What is asked
    for by the name of an image may have `platforms` of its own instead of those of the settings, and `until`, a day
    (`2026-01-31`, UTC) after which no package may have been made.
    """

    name: str
    channels: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    pip: tuple[str, ...] | None = None
    description: str | None = ""
    prefix: str | None = None
    variables: Mapping[str, str | int] | None = None
    platforms: tuple[str, ...] = ()
    until: str | None = None

    def model(self) -> dict[str, Any]:
        """The six keys that are stored, hashed and shown, and `platforms` and `until` where they are given."""
        dependencies: list[Any] = list(self.dependencies)
        if self.pip is not None:
            dependencies.append({"pip": list(self.pip)})
        return {
            "channels": list(self.channels),
            "dependencies": dependencies,
            "description": self.description,
            "name": self.name,
            "prefix": self.prefix,
            "variables": dict(self.variables) if self.variables is not None else None,
            **({"platforms": list(self.platforms)} if self.platforms else {}),
            **({"until": self.until} if self.until else {}),
        }

    @cached_property
    def sha256(self) -> str:
        return specification_hash(self.model())

    @property
    def pip_requirements(self) -> tuple[str, ...]:
        """The pip part without its options."""
        return tuple(line for line in self.pip or () if not line.startswith("--"))

    @property
    def pip_options(self) -> tuple[str, ...]:
        return tuple(line for line in self.pip or () if line.startswith("--"))


@dataclass(frozen=True)
class LockfileSpecification:
    """A lock handed in as the specification; `lockfile` is the document in conda-lock's v1 format."""

    name: str
    lockfile: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = ""

    def model(self) -> dict[str, Any]:
        return {"name": self.name, "description": self.description, "lockfile": dict(self.lockfile)}

    @cached_property
    def sha256(self) -> str:
        return specification_hash(self.model())


def parse_pip_option(line: str) -> tuple[str, str]:
    """Name and value of an option, written as `--name value` or `--name=value`."""
    name, *value = re.split(r"\s*=\s*|\s+", line.strip(), maxsplit=1)
    return name, "".join(value)


AnySpecification = Specification | LockfileSpecification


def requested_specs(specification: AnySpecification) -> tuple[str, ...]:
    """The conda part of what was asked for; nothing where a lock was handed in."""
    return specification.dependencies if isinstance(specification, Specification) else ()


def environment_variables(specification: AnySpecification) -> dict[str, str]:
    """What the environment sets when it is activated."""
    variables = specification.variables if isinstance(specification, Specification) else None
    return {name: str(value) for name, value in (variables or {}).items()}


def specification_hash(model: Mapping[str, Any]) -> str:
    """sha256 (hex) of the model with keys and lists sorted; the order of channels counts, so it is kept."""
    return hashlib.sha256(json.dumps(_sorted(model)).encode()).hexdigest()


def _sorted(value: Any, *, keep_order: bool = False) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key], keep_order=key == "channels") for key in sorted(value)}
    if isinstance(value, list):
        items = [_sorted(item) for item in value]
        return items if keep_order else sorted(items, key=_list_key)
    return value


def _list_key(value: Any) -> str:
    return str(type(value)) if isinstance(value, dict | list) else f"{type(value)}-{value}"


def stored_specification(model: Mapping[str, Any]) -> AnySpecification:
    """A specification back from its stored model, which was checked when it came in."""
    if "lockfile" in model:
        return LockfileSpecification(model["name"], model["lockfile"], model.get("description"))
    parsed = parse_specification(model)
    return replace(parsed, platforms=tuple(model.get("platforms", ())), until=model.get("until"))


def parse_specification(document: Any) -> Specification:
    """The specification in a parsed YAML or JSON document.

    Unknown keys are left aside, but not those that look like a slip of the pen: `dependancies` would make an empty
    environment.

    Match specs and pip requirements are text here; the builder checks their grammar.

    Raises:
        InvalidSpecification: with every problem found, each with its path.
    """
    if not isinstance(document, Mapping):
        kind = "nothing" if document is None else type(document).__name__
        raise InvalidSpecification(
            (Problem(f"Input should be a valid dictionary or object, found {kind}", (), "dict_type"),),
            hint="An environment needs at least a name: `name: my-environment`.",
        )
    problems = _mistyped_keys(document)
    name = _name(document, problems)
    channels = _strings(document.get("channels", []), ("channels",), problems)
    dependencies, pip = _dependencies(document.get("dependencies", []), problems)
    description = _text_or_none(document, "description", "", problems)
    prefix = _text_or_none(document, "prefix", None, problems)
    variables = _variables(document.get("variables"), problems)
    if problems:
        raise InvalidSpecification(tuple(problems))
    return Specification(name, channels, dependencies, pip, description, prefix, variables)


def _mistyped_keys(document: Mapping[Any, Any]) -> list[Problem]:
    missing = _KEYS - set(document)
    return [
        Problem(f"There is no key {key!r}, did you mean {meant!r}?", (key,), "extra_forbidden")
        for key in document
        if isinstance(key, str) and key not in _KEYS
        for meant in difflib.get_close_matches(key.lower(), missing, n=1, cutoff=0.85)
    ]


def _name(document: Mapping[Any, Any], problems: list[Problem]) -> str:
    name = document.get("name")
    if name is None:
        problems.append(Problem("Field required", ("name",), "missing"))
    elif not isinstance(name, str):
        problems.append(Problem(f"Input should be a valid string, found {name!r}", ("name",), "string_type"))
    elif problem := name_problem(name):
        problems.append(Problem(f"environment {problem}", ("name",)))
    else:
        return name
    return ""


def _text_or_none(document: Mapping[Any, Any], key: str, default: str | None, problems: list[Problem]) -> str | None:
    value = document.get(key, default)
    if value is None or isinstance(value, str):
        return value
    problems.append(Problem(f"Input should be a valid string, found {value!r}", (key,), "string_type"))
    return None


def _strings(value: Any, path: tuple[str | int, ...], problems: list[Problem]) -> tuple[str, ...]:
    if not isinstance(value, list):
        problems.append(Problem("Input should be a valid list", path, "list_type"))
        return ()
    for index, item in enumerate(value):
        if not isinstance(item, str):
            problems.append(Problem(f"Input should be a valid string, found {item!r}", (*path, index), "string_type"))
    return tuple(item for item in value if isinstance(item, str))


def _dependencies(value: Any, problems: list[Problem]) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    if not isinstance(value, list):
        problems.append(Problem("Input should be a valid list", ("dependencies",), "list_type"))
        return (), None
    conda: list[str] = []
    pip: tuple[str, ...] | None = None
    for index, item in enumerate(value):
        if isinstance(item, str):
            conda.append(item)
        elif isinstance(item, Mapping) and set(item) == {"pip"}:
            pip = (pip or ()) + _strings(item["pip"], ("dependencies", index, "pip"), problems)
        else:
            problems.append(
                Problem(
                    f"Input should be a package or a `pip:` list, found {str(item)[:200]!r}",
                    ("dependencies", index),
                    "string_type",
                )
            )
    return tuple(conda), pip


def _variables(value: Any, problems: list[Problem]) -> Mapping[str, str | int] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        problems.append(Problem("Input should be a valid dictionary", ("variables",), "dict_type"))
        return None
    for key, item in value.items():
        if not isinstance(key, str) or "=" in key or "\0" in key or not key:
            problems.append(Problem(f"{key!r} is no name of a variable", ("variables", str(key))))
        if isinstance(item, bool) or not isinstance(item, str | int):
            problems.append(Problem(f"Input should be a string or an integer, found {item!r}", ("variables", str(key))))
    return dict(value)
