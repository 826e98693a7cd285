"""What a package puts into a prefix, read from its extracted directory (CEP 34: `info/paths.json`, `info/link.json`).

The rules are the installer's: noarch Python packages go to the site-packages of the image's Python and get a script
for each entry point, placeholders become the image's prefix, directories of their own are not made.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from conda_store.domain.image import IMAGE_PREFIX, Activation, ImagePython
from conda_store.domain.noarch import path_in_prefix
from conda_store.domain.package_paths import path_entries
from conda_store.errors import ArtifactFailed

_ENTRY_POINT = re.compile(r"\s*([^\s=]+)\s*=\s*([\w.]+)\s*:\s*([\w.]+)")


class PackageFile(NamedTuple):
    """A file or symlink of a package. `path` is in the prefix, `source` in the extracted package.

    `placeholder` is what the prefix takes the place of, None where there is nothing to be rewritten. `entry` is for the
    package's record.
    """

    path: str
    source: str
    is_symlink: bool
    placeholder: bytes | None
    is_text: bool
    entry: dict[str, Any]


@dataclass(frozen=True)
class EntryPoint:
    """A command that the installer makes: it calls `function` of `module`."""

    command: str
    module: str
    function: str

    @property
    def path(self) -> str:
        return f"bin/{self.command}"

    def script(self, python: ImagePython) -> bytes:
        """As the installer writes it."""
        name = self.function.split(".")[0]
        return (
            f"#!{IMAGE_PREFIX}/bin/python{python.version}\n"
            "# -*- coding: utf-8 -*-\nimport re\nimport sys\n\n"
            f"from {self.module} import {name}\n\n"
            "if __name__ == '__main__':\n"
            "\tsys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])\n"
            f"\tsys.exit({self.function}())\n"
        ).encode()


@dataclass(frozen=True)
class PackageFiles:
    files: tuple[PackageFile, ...]
    entry_points: tuple[EntryPoint, ...]

    @property
    def paths(self) -> list[str]:
        """Relative to the prefix."""
        return [*(point.path for point in self.entry_points), *(file.path for file in self.files)]

    def activation(self, directory: Path) -> Activation:
        """What the package does when its environment is activated."""
        has_scripts = False
        variables: dict[str, str] = {}
        for file in self.files:
            if file.path.startswith("etc/conda/activate.d/") and file.path.endswith(".sh"):
                has_scripts = True
            elif file.path.startswith("etc/conda/env_vars.d/") and file.path.endswith(".json"):
                variables |= _variables(directory / file.source, file.placeholder)
        return Activation(has_scripts, variables)


def _variables(path: Path, placeholder: bytes | None) -> dict[str, str]:
    data = path.read_bytes()
    if placeholder:
        data = rewritten(data, placeholder, is_text=True)
    try:
        document = json.loads(data)
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in document.items()} if isinstance(document, dict) else {}


def read_package(directory: Path, python: ImagePython | None) -> PackageFiles:
    """What is in an extracted package, sorted by path.

    Raises:
        ArtifactFailed: the package is incomplete.
    """
    try:
        noarch = _link(directory)
        is_python = noarch.get("type") == "python"
        if is_python and python is None:
            raise ArtifactFailed(f"the package {directory.name} needs a Python, and the environment has none")
        site_packages = python.site_packages if is_python and python is not None else None
        files = [_file(entry, site_packages) for entry in _entries(directory) if entry["path_type"] != "directory"]
        points = noarch.get("entry_points") or () if is_python else ()
        commands = [_entry_point(text) for text in points]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactFailed(f"the package {directory.name} in the cache is damaged: {error}") from error
    return PackageFiles(tuple(sorted(files, key=itemgetter(0))), tuple(commands))


def _link(directory: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((directory / "info" / "link.json").read_bytes()).get("noarch") or {}
    except FileNotFoundError:
        return {}
    return found


def _entry_point(text: str) -> EntryPoint:
    match = _ENTRY_POINT.match(text)
    if match is None:
        raise ValueError(f"its entry point {text!r} cannot be read")
    return EntryPoint(match[1], match[2], match[3])


def _entries(directory: Path) -> Iterator[dict[str, Any]]:
    info = directory / "info"
    for entry in path_entries(lambda name: (info / name).read_bytes() if (info / name).exists() else None):
        if "path_type" not in entry:
            entry["path_type"] = "softlink" if (directory / entry["_path"]).is_symlink() else "hardlink"
        yield entry


def _file(entry: dict[str, Any], site_packages: str | None) -> PackageFile:
    source: str = entry["_path"]
    if source.startswith("/") or (".." in source and ".." in source.split("/")):
        raise ValueError(f"it has a file outside the prefix: {source!r}")
    placeholder = entry.get("prefix_placeholder")
    path = entry["_path"] = path_in_prefix(source, site_packages) if site_packages is not None else source
    entry.pop("no_link", None)
    return PackageFile(
        path,
        source,
        entry["path_type"] == "softlink",
        placeholder.encode() if placeholder else None,
        entry.get("file_mode", "text") == "text",
        entry,
    )


def rewritten(data: bytes, placeholder: bytes, *, is_text: bool) -> bytes:
    """The content with the image's prefix where the placeholder is; in binaries each string keeps its length.

    Raises:
        ArtifactFailed: the placeholder is shorter than the prefix.
    """
    prefix = IMAGE_PREFIX.encode()
    if is_text:
        return data.replace(placeholder, prefix)
    if len(placeholder) < len(prefix):
        raise ArtifactFailed(f"a placeholder of {len(placeholder)} bytes is too short for {IMAGE_PREFIX}")
    pieces = []
    position = 0
    while (start := data.find(placeholder, position)) >= 0:
        end = data.find(b"\0", start)
        end = len(data) if end < 0 else end
        string = data[start:end]
        pieces += [data[position:start], string.replace(placeholder, prefix).ljust(len(string), b"\0")]
        position = end
    return b"".join([*pieces, data[position:]])


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_executable(mode: int) -> bool:
    return bool(mode & stat.S_IXUSR)
