"""`pixi.toml`: one of its environments as a specification.

Taken are channels, `dependencies`, `pypi-dependencies`, `activation.env` and `system-requirements` of the workspace
and of the features of the environment; below `target` what is for the platform that this process runs on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from conda_store.domain.platform import current_platform
from conda_store.domain.specification import Specification, parse_specification
from conda_store.errors import InvalidSpecification, Problem

Path = tuple[str | int, ...]
_SYSTEM = {"cuda": "CONDA_OVERRIDE_CUDA", "macos": "CONDA_OVERRIDE_OSX", "linux": "CONDA_OVERRIDE_LINUX"}
_SOURCES = ("path", "git", "url", "editable")
_KEYS = {key: key for key in ("version", "build", "md5", "sha256", "license")} | {
    "build-number": "build_number",
    "file-name": "fn",
}


@dataclass
class _Parts:
    """What was gathered so far. What several features ask of one package holds together, as pixi has it."""

    channels: list[str] = field(default_factory=list)
    conda: list[str] = field(default_factory=list)
    pip: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def say(self, message: str, path: Path) -> None:
        self.problems.append(Problem(message, path))


def read_pixi_manifest(text: str, environment: str, name: str | None) -> Specification:
    """The named environment of a manifest.

    Raises:
        InvalidSpecification: it is no TOML, there is no such environment, or it asks for what is not in a channel.
    """
    try:
        manifest = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSpecification(f"Unable to parse. Invalid TOML\n{error}") from error
    key = "workspace" if "workspace" in manifest else "project"
    if key not in manifest:
        raise InvalidSpecification(
            (Problem("Field required", ("workspace",), "missing"),), hint="A pixi.toml begins with [workspace]."
        )
    workspace = _table(manifest, key, ())
    parts = _Parts()
    features, has_default = _features(manifest, environment)
    for feature, path in [*features, (workspace, (key,))]:
        _channels(feature.get("channels", []), (*path, "channels"), parts)
    for section, path in ([(manifest, ())] if has_default else []) + features:
        _take(list(_with_targets(section, path)), parts)
    if parts.problems:
        raise InvalidSpecification(tuple(parts.problems))
    return parse_specification(_document(parts, name or workspace.get("name"), workspace))


def _table(section: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    """The table below a key, empty where there is none.

    Raises:
        InvalidSpecification: something else is there.
    """
    value = section.get(key, {})
    if not isinstance(value, Mapping):
        raise InvalidSpecification((Problem(f"A table is needed, found {str(value)[:80]!r}", (*path, key)),))
    return value


def _document(parts: _Parts, name: Any, workspace: Mapping[str, Any]) -> dict[str, Any]:
    dependencies: list[Any] = _without_bare(parts.conda)
    if parts.pip:
        dependencies.append({"pip": [*parts.options, *_without_bare(parts.pip)]})
    return {
        "name": name,
        "channels": list(dict.fromkeys(parts.channels)),
        "dependencies": dependencies,
        "description": workspace.get("description", ""),
        "variables": parts.variables or None,
    }


def _without_bare(specs: list[str]) -> list[str]:
    """Each once, and a name alone only where nothing more is asked of that package."""
    return [
        spec
        for spec in dict.fromkeys(specs)
        if not any(other.startswith((f"{spec} ", f"{spec}[", *(spec + sign for sign in "<>=!~"))) for other in specs)
    ]


def _features(manifest: Mapping[str, Any], environment: str) -> tuple[list[tuple[Mapping[str, Any], Path]], bool]:
    """The features of an environment with their paths, and whether the workspace's own tables belong to it."""
    environments = _table(manifest, "environments", ())
    if environment not in environments:
        if environment == "default":
            return [], True
        raise InvalidSpecification(
            f"The pixi.toml has no environment {environment!r}",
            hint=f"It has {', '.join(['default', *environments])}.",
        )
    entry = environments[environment]
    names = entry.get("features", []) if isinstance(entry, Mapping) else entry
    path: Path = ("environments", environment)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidSpecification((Problem("A list of names of features is needed", path),))
    known = _table(manifest, "feature", ())
    if missing := [name for name in names if name not in known and name != "default"]:
        raise InvalidSpecification((Problem(f"There is no feature {missing[0]!r}", path),))
    has_default = not (isinstance(entry, Mapping) and entry.get("no-default-feature"))
    return [(_table(known, name, ("feature",)), ("feature", name)) for name in names if name != "default"], has_default


def _with_targets(section: Mapping[str, Any], path: Path) -> Iterator[tuple[Mapping[str, Any], Path]]:
    yield section, path
    platform = current_platform()
    targets = _table(section, "target", path)
    for target in (*(() if platform.is_windows else ("unix",)), platform.family, platform.value):
        if target in targets:
            yield _table(targets, target, (*path, "target")), (*path, "target", target)


def _take(tables: list[tuple[Mapping[str, Any], Path]], parts: _Parts) -> None:
    """A feature's tables; what a target says of a package replaces what the feature says of it."""
    conda: dict[str, str] = {}
    pip: dict[str, str] = {}
    for table, path in tables:
        for kind in ("host-dependencies", "build-dependencies"):
            if table.get(kind):
                parts.say("Dependencies for building packages are not supported here", (*path, kind))
        for name, value in _table(table, "dependencies", path).items():
            conda[name.lower()] = _match_spec(name, value, (*path, "dependencies", name), parts)
        for name, value in _table(table, "pypi-dependencies", path).items():
            pip[name.lower()] = _requirement(name, value, (*path, "pypi-dependencies", name), parts)
        _pypi_options(_table(table, "pypi-options", path), (*path, "pypi-options"), parts)
        variables = _table(_table(table, "activation", path), "env", (*path, "activation"))
        parts.variables |= {variable: str(value) for variable, value in variables.items()}
        _system_requirements(_table(table, "system-requirements", path), parts)
    parts.conda += conda.values()
    parts.pip += pip.values()


def _pypi_options(options: Mapping[str, Any], path: Path, parts: _Parts) -> None:
    extra = options.get("extra-index-urls", [])
    if not isinstance(extra, list):
        parts.say("A list of URLs is needed", (*path, "extra-index-urls"))
        return
    if "index-url" in options:
        parts.options.append(f"--index-url {options['index-url']}")
    parts.options += [f"--extra-index-url {url}" for url in extra]


def _system_requirements(table: Mapping[str, Any], parts: _Parts) -> None:
    for key, variable in _SYSTEM.items():
        if key in table:
            parts.variables[variable] = str(table[key])
    libc = table.get("libc")
    if isinstance(libc, Mapping):
        libc = libc.get("version")
    if libc:
        parts.variables["CONDA_OVERRIDE_GLIBC"] = str(libc)


def _channels(value: Any, path: Path, parts: _Parts) -> None:
    if not isinstance(value, list):
        parts.say("Input should be a valid list", path)
        return
    for index, item in enumerate(value):
        channel = item.get("channel") if isinstance(item, Mapping) else item
        if isinstance(channel, str):
            parts.channels.append(channel)
        else:
            parts.say("Input should be a valid string", (*path, index))


def _match_spec(name: str, value: Any, path: Path, parts: _Parts) -> str:
    if isinstance(value, str):
        return name if value.strip() in ("", "*") else f"{name} {value}"
    if not isinstance(value, Mapping) or set(value) & set(_SOURCES) - {"url"}:
        parts.say("Only packages out of a channel are supported, not sources", path)
        return name
    if unknown := set(value) - set(_KEYS) - {"channel", "subdir"}:
        parts.say(f"{sorted(unknown)[0]!r} is not supported in a dependency", path)
    fields = {_KEYS[key]: item for key, item in value.items() if key in _KEYS and item not in ("", "*")}
    channel = value.get("channel", "")
    prefix = f"{channel}{'/' + value['subdir'] if 'subdir' in value else ''}::" if channel else ""
    inner = ", ".join(f'{key}="{item}"' for key, item in fields.items())
    return f"{prefix}{name}[{inner}]" if inner else f"{prefix}{name}"


def _requirement(name: str, value: Any, path: Path, parts: _Parts) -> str:
    if isinstance(value, str):
        return name if value.strip() in ("", "*") else f"{name}{_pep440(value)}"
    if not isinstance(value, Mapping) or "path" in value or value.get("editable"):
        parts.say("A directory cannot be a dependency here, since only the pixi.toml was handed in", path)
        return name
    extras = f"[{','.join(map(str, value['extras']))}]" if isinstance(value.get("extras"), list) else ""
    marker = f" ; {value['markers']}" if value.get("markers") else ""
    if "git" in value:
        revision = value.get("rev") or value.get("tag") or value.get("branch")
        at = f"@{revision}" if revision else ""
        directory = f"#subdirectory={value['subdirectory']}" if "subdirectory" in value else ""
        return f"{name}{extras} @ git+{str(value['git']).removeprefix('git+')}{at}{directory}{marker}"
    if "url" in value:
        return f"{name}{extras} @ {value['url']}{marker}"
    version = str(value.get("version", "*")).strip()
    return f"{name}{extras}{'' if version in ('', '*') else _pep440(version)}{marker}"


def _pep440(version: str) -> str:
    """A bare version means that version."""
    return version if version.strip()[:1] in "<>=!~" else f"=={version.strip()}"
