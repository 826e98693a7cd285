"""Wheels as conda packages: resolve with uv, download with pip, convert.

    py3-none-any          noarch: python, in noarch
    abi3, py3-none-linux  noarch: python, in linux-64 (CEP 20)
    cp311 and the like    one package per Python, byte-compiled, in linux-64
A wheel of the first two kinds whose dependencies differ between the Pythons of the channel is made like the third.
"""

from __future__ import annotations

import email.parser
import functools
import hashlib
import importlib.util
import re
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from .conda_package import EPOCH
from .process import ChannelError, program, run, say
from .requirements import depends, version_spec
from .store import Cache, key_of, write_text

_OLD_NAMES = {"manylinux1": 5, "manylinux2010": 12, "manylinux2014": 17}
_PLATFORMS = [
    *(f"manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)),
    *(f"{name}_x86_64" for name in ("manylinux2014", "manylinux2010", "manylinux1", "linux")),
]
_DOWNLOADS_AT_ONCE = 4


class Wheel:
    """A wheel file and what its name and metadata say."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name, self.version, _, self.tags = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            [metadata] = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
            self.dist_info = metadata.split("/")[0]
            parser = email.parser.HeaderParser()
            self.metadata: Message = parser.parsestr(archive.read(metadata).decode(errors="replace"))
            self.timestamp = _seconds(max(entry.date_time for entry in archive.infolist()))
        self.requires = [Requirement(text) for text in self.metadata.get_all("Requires-Dist", [])]
        self.requires_python = SpecifierSet(self.metadata.get("Requires-Python", ""))

    @functools.cached_property
    def sha256(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def is_pure(self) -> bool:
        return all(tag.platform == "any" for tag in self.tags)

    @property
    def is_for_one_python(self) -> bool:
        return all(tag.abi not in ("abi3", "none") for tag in self.tags)

    @property
    def glibc_minor(self) -> int | None:
        """The N of the oldest glibc 2.N that the tags ask for; None for a wheel of Python code only."""
        if self.is_pure:
            return None
        minors = [int(found[1]) for tag in self.tags if (found := re.match(r"manylinux_2_(\d+)_", tag.platform))]
        minors += [
            minor for name, minor in _OLD_NAMES.items() for tag in self.tags if tag.platform.startswith(name + "_")
        ]
        return max(minors, default=17)

    @property
    def oldest_abi3(self) -> int:
        """The N of the oldest Python 3.N that loads it; 0 if the tags say nothing."""
        return min((int(tag.interpreter[3:]) for tag in self.tags if re.match(r"cp3\d", tag.interpreter)), default=0)

    @property
    def license(self) -> str | None:
        """An SPDX expression where there is one, else a short licence field, else the classifier's words."""
        text = self.metadata.get("License-Expression") or self.metadata.get("License", "")
        if text and "\n" not in text and len(text) <= 60:
            return str(text)
        classifiers = [
            line.split(" :: ")[-1] for line in self.metadata.get_all("Classifier", []) if "License ::" in line
        ]
        return classifiers[0] if classifiers else None

    def fits(self, python: str) -> bool:
        """Whether CPython `python` (a full version) can use it."""
        return bool(self.tags & set(_tags(_minor(python)))) and self.requires_python.contains(python, prereleases=True)


class Wheels:
    """All wheels of a channel and the Pythons (full versions by minor) they are for."""

    def __init__(self, wheels: Iterable[Wheel], pythons: dict[str, str]) -> None:
        self.wheels = sorted(wheels, key=lambda wheel: (wheel.name, wheel.version, wheel.path.name))
        self.pythons = pythons

    def minors(self, wheel: Wheel) -> list[str]:
        return [minor for minor, python in self.pythons.items() if wheel.fits(python)]

    def depends(self, wheel: Wheel, minor: str) -> set[str]:
        """The requirements of a wheel under one Python, as match specs."""
        return depends(wheel.name, wheel.requires, self.pythons[minor], self._requires)

    def python_spec(self, wheel: Wheel, minors: list[str]) -> str:
        """The dependency on Python of a package for all of these minors. A cp312-abi3 wheel that says
        Requires-Python >=3.8 does not load in 3.11, so the tag counts as well."""
        spec = wheel.requires_python
        left_out = [python for minor, python in self.pythons.items() if minor not in minors and spec.contains(python)]
        if left_out and wheel.oldest_abi3:
            others = [str(one) for one in spec if one.operator not in (">=", ">", "~=")]
            spec = SpecifierSet(",".join([f">=3.{wheel.oldest_abi3}", *others]))
        return f"python {version_spec(spec)}".strip()

    def _requires(self, requirement: Requirement) -> list[Requirement]:
        name = canonicalize_name(requirement.name)
        found = [
            w for w in self.wheels if w.name == name and requirement.specifier.contains(w.version, prereleases=True)
        ]
        return max(found, key=lambda wheel: wheel.version).requires if found else []


def resolve(cache: Cache, packages: tuple[str, ...], minor: str, refresh: bool) -> list[str]:
    """The pins `name==version` that satisfy the requirements under one Python, remembered until `refresh`."""
    remembered = cache.folder("resolved") / f"{key_of(packages, minor)}.txt"
    if refresh or not remembered.exists():
        command = (program("uv"), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:")
        options = ("--python-version", minor, "--python-platform", "x86_64-manylinux_2_28")
        # not in the current directory, as uv would read the configuration of the project it is called from
        found = run(*command, *options, "-", cwd=remembered.parent, data="\n".join(packages).encode())
        write_text(remembered, found.decode())
    pins = [Requirement(line) for line in remembered.read_text().splitlines() if "==" in line]
    return [f"{pin.name}=={next(iter(pin.specifier)).version}" for pin in pins]


def download(cache: Cache, pins: Iterable[str], minor: str) -> list[Path]:
    """The wheel that pip prefers for each pin, from the cache or downloaded in parallel."""
    folder = cache.folder("wheels")
    known = _known(folder)
    missing = [pin for pin in pins if _best(known, pin, minor) is None]
    if missing:
        say(f"downloading {len(missing)} wheels for Python {minor}")
        parts = [missing[start::_DOWNLOADS_AT_ONCE] for start in range(_DOWNLOADS_AT_ONCE)]
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            list(pool.map(lambda part: _pip_download(folder, part, minor), parts))
        known = _known(folder)
    found = {pin: _best(known, pin, minor) for pin in pins}
    none = [pin for pin, path in found.items() if path is None]
    if none:
        raise ChannelError(f"there are no wheels for Python {minor} of {', '.join(none)}", "choose another version")
    return [path for path in found.values() if path]


def _pip_download(folder: Path, pins: list[str], minor: str) -> None:
    if not pins:
        return
    tag = f"cp{minor.replace('.', '')}"
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", minor]
    options += [word for abi in (tag, "abi3", "none") for word in ("--abi", abi)]
    options += [word for platform in _PLATFORMS for word in ("--platform", platform)]
    with tempfile.TemporaryDirectory(dir=folder) as directory:
        run(*_pip(), "download", *options, "--dest", directory, *pins)
        for wheel in Path(directory).iterdir():
            wheel.replace(folder / wheel.name)


def _pip() -> list[str]:
    """pip of this virtual environment, or uv's where it has none (uv makes such environments)."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    return [program("uv"), "tool", "run", "--quiet", "pip"]


Known = dict[tuple[NormalizedName, Version], list[tuple[Path, frozenset[Tag]]]]


def _known(folder: Path) -> Known:
    known: Known = {}
    for path in folder.glob("*.whl"):
        name, version, _, tags = parse_wheel_filename(path.name)
        known.setdefault((name, version), []).append((path, tags))
    return known


def _best(known: Known, pin: str, minor: str) -> Path | None:
    name, _, version = pin.partition("==")
    order = _tags(minor)
    ranked = [
        (min(order[tag] for tag in tags if tag in order), path)
        for path, tags in known.get((canonicalize_name(name), Version(version)), [])
        if not tags.isdisjoint(order)
    ]
    return min(ranked)[1] if ranked else None


@functools.cache
def _tags(minor: str) -> dict[Tag, int]:
    """The wheel tags that CPython 3.X on Linux accepts -> rank, the most specific first."""
    version = [int(number) for number in minor.split(".")]
    tags = [
        *cpython_tags(version, platforms=_PLATFORMS),
        *compatible_tags(version, f"cp{minor.replace('.', '')}", _PLATFORMS),
    ]
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _seconds(date_time: tuple[int, int, int, int, int, int]) -> int:
    """A zip entry's time as UTC; EPOCH if it is older or not over yet."""
    try:
        seconds = int(time.mktime((*date_time, 0, 0, 0))) - time.timezone
    except (ValueError, OverflowError):
        return EPOCH
    return seconds if EPOCH < seconds < time.time() else EPOCH
