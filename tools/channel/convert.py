"""One wheel in, one conda package out."""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

from .conda_package import PLACEHOLDER, Entry, File, Package
from .interpreter import Interpreter
from .libraries import SUBDIR
from .requirements import conda_name
from .store import Cache, Made, key_of, package_key
from .wheels import Wheel, Wheels

_INSTALLERS_OWN = {"RECORD", "RECORD.jws", "REQUESTED", "INSTALLER", "direct_url.json"}
_SCRIPT = """\
#!{prefix}/bin/python{minor}
import sys

from {module} import {name}

if __name__ == "__main__":
    sys.exit({function}())
"""


@dataclass(frozen=True)
class Conversion:
    """A package to make: of which wheel, with which dependencies, for which Python (None: noarch)."""

    wheel: Wheel
    depends: frozenset[str]
    interpreter: Interpreter | None

    @property
    def key(self) -> str:
        return package_key(self._identity)

    @property
    def _identity(self) -> tuple[object, ...]:
        python = self.interpreter.version if self.interpreter else None
        return "wheel", self.wheel.path.name, self.wheel.sha256, sorted(self.depends), python

    def make(self, cache: Cache) -> Made:
        return cache.package(self.key, self._package)

    def _package(self) -> tuple[Package, dict[str, Entry]]:
        wheel, interpreter = self.wheel, self.interpreter
        layout = _Layout(interpreter.minor if interpreter else None)
        tree, licenses, commands = _unpack(wheel, layout)
        if interpreter:
            tree |= {f"bin/{name}": layout.script(target) for name, target in commands.items()}
        tree |= _records(tree, wheel, layout)
        if interpreter:
            tree |= interpreter.byte_compiled(tree, wheel.timestamp)
        python = f"py{interpreter.minor.replace('.', '')}" if interpreter else "py" if wheel.is_pure else "abi3"
        package = Package(
            conda_name(wheel.name),
            str(wheel.version).split("+")[0],
            build=f"{python}h{key_of(self._identity)[:7]}_0",
            subdir="noarch" if interpreter is None and wheel.is_pure else SUBDIR,
            noarch=None if interpreter else "python",
            depends=tuple(self.depends),
            timestamp=wheel.timestamp,
            license=wheel.license,
            licenses=licenses,
            entry_points=() if interpreter else tuple(f"{name} = {target}" for name, target in commands.items()),
            about={"summary": wheel.metadata.get("Summary", ""), "home": wheel.metadata.get("Home-page", "")},
        )
        return package, tree


def conversions(wheels: Wheels, interpreters: dict[str, Interpreter]) -> Iterator[Conversion]:
    """The packages that the wheels come to."""
    for wheel in wheels.wheels:
        minors = wheels.minors(wheel)
        if not minors:
            continue
        needs = {minor: frozenset(wheels.depends(wheel, minor)) for minor in minors}
        native: set[str] = set()
        if not wheel.is_pure:
            native = {f"__glibc >=2.{wheel.glibc_minor},<3.0.a0", "libgcc >=12", "libstdcxx >=12"}
        if not wheel.is_for_one_python and len(set(needs.values())) == 1:
            yield Conversion(wheel, needs[minors[0]] | native | {wheels.python_spec(wheel, minors)}, None)
            continue
        for minor in minors:
            following = f"3.{int(minor.split('.')[1]) + 1}"
            tied = {f"python >={minor},<{following}.0a0", f"python_abi {minor}.* *_cp{minor.replace('.', '')}"}
            yield Conversion(wheel, needs[minor] | native | tied, interpreters[minor])


class _Layout:
    """Where the parts of a wheel go in a package: for one Python, or (minor None) as `noarch: python` has it."""

    def __init__(self, minor: str | None) -> None:
        self.minor = minor
        self.site_packages = f"lib/python{minor}/site-packages" if minor else "site-packages"
        self.scripts = "bin" if minor else "python-scripts"

    def place(self, name: str, project: str) -> str:
        """The path in the prefix of a file of the wheel."""
        found = re.match(r"[^/]+\.data/([^/]+)/(.+)", name)
        if not found:
            return f"{self.site_packages}/{name}"
        kind, rest = found.groups()
        folders = {"scripts": f"{self.scripts}/", "data": "", "headers": f"include/python{self.minor or ''}/{project}/"}
        return folders.get(kind, f"{self.site_packages}/") + rest

    def script(self, target: str) -> File:
        """The command for an entry point `module:function`."""
        module, _, function = target.partition(":")
        name = function.split(".")[0]
        text = _SCRIPT.format(prefix=PLACEHOLDER, minor=self.minor, module=module, name=name, function=function)
        return File(text.encode(), 0o755)

    def in_record(self, path: str) -> str:
        """The path as RECORD has it, relative to the installed site-packages (three levels deep on Linux)."""
        inside = path.removeprefix(f"{self.site_packages}/")
        return inside if inside != path else f"../../../{path.replace('python-scripts/', 'bin/')}"


def _unpack(wheel: Wheel, layout: _Layout) -> tuple[dict[str, Entry], dict[str, bytes], dict[str, str]]:
    """The files, the licence texts, and the entry points as command -> `module:function`."""
    tree: dict[str, Entry] = {}
    licenses: dict[str, bytes] = {}
    commands: dict[str, str] = {}
    with zipfile.ZipFile(wheel.path) as archive:
        for member in archive.infolist():
            folder, _, base = member.filename.rpartition("/")
            if member.is_dir() or (folder == wheel.dist_info and base in _INSTALLERS_OWN):
                continue
            data = archive.read(member)
            path = layout.place(member.filename, wheel.name)
            if path.startswith(f"{layout.scripts}/"):
                data = re.sub(rb"\A#!python\w*", f"#!{PLACEHOLDER}/bin/python".encode(), data)
            if re.fullmatch(r"share/jupyter/kernels/[^/]+/kernel\.json", path):
                data = _kernel(data)
            if folder.startswith(wheel.dist_info) and re.match(r"licen[sc]e|copying|notice", base, re.I):
                licenses[base] = data
            if member.filename == f"{wheel.dist_info}/entry_points.txt":
                commands = _entry_points(data.decode())
            executable = member.external_attr >> 16 & 0o100 or path.startswith(f"{layout.scripts}/")
            tree[path] = File(data, 0o755 if executable else 0o644)
    return tree, licenses, commands


def _entry_points(text: str) -> dict[str, str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their case
    parser.read_string(text)
    sections = [parser[name] for name in ("console_scripts", "gui_scripts") if parser.has_section(name)]
    targets = {name: re.sub(r"\s*\[.*\]$", "", target) for section in sections for name, target in section.items()}
    return {name: target.replace(" ", "") for name, target in targets.items() if ":" in target}


def _kernel(data: bytes) -> bytes:
    """A Jupyter kernel that is started by `python` from PATH is started by the one of its environment instead."""
    kernel = json.loads(data)
    if kernel["argv"][0].startswith("python"):
        kernel["argv"][0] = f"{PLACEHOLDER}/bin/python"
    return json.dumps(kernel, indent=1).encode()


def _records(tree: dict[str, Entry], wheel: Wheel, layout: _Layout) -> dict[str, Entry]:
    """The files of dist-info that an installer writes. Hashes of files with the placeholder are left out."""
    folder = f"{layout.site_packages}/{wheel.dist_info}"
    own: dict[str, Entry] = {f"{folder}/INSTALLER": File(b"conda\n"), f"{folder}/REQUESTED": File(b"")}
    rows = [(f"{layout.in_record(folder)}/RECORD", "", "")]
    for path, entry in (tree | own).items():
        assert isinstance(entry, File)
        digest = base64.urlsafe_b64encode(hashlib.sha256(entry.data).digest()).rstrip(b"=").decode()
        checked = PLACEHOLDER.encode() not in entry.data
        rows.append((layout.in_record(path), *((f"sha256={digest}", str(len(entry.data))) if checked else ("", ""))))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(sorted(rows))
    return own | {f"{folder}/RECORD": File(text.getvalue().encode())}
