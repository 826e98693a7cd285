"""Which wheel fits a platform and a Python: tags in the order in which an installer prefers them (PEP 425, 600)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from conda_store.builder.virtual_packages import virtual_packages
from conda_store.domain.platform import Platform
from conda_store.errors import PipFailed, Unsolvable

_MACHINES = {Platform.LINUX_64: "x86_64", Platform.LINUX_AARCH64: "aarch64"}
_MAC_ARCHITECTURES = {Platform.OSX_64: "x86_64", Platform.OSX_ARM64: "arm64"}
_UV = {
    Platform.OSX_64: "x86_64-apple-darwin",
    Platform.OSX_ARM64: "aarch64-apple-darwin",
    Platform.WIN_64: "x86_64-pc-windows-msvc",
    Platform.WIN_ARM64: "aarch64-pc-windows-msvc",
}
_GLIBC_KNOWN_TO_UV = (40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 28, 17)
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_MACOS = (13, 0)


ONLY_WHEELS = (
    "The operator has only wheels taken, since whatever else runs code of its own: c.CondaStore.pip_only_wheels."
)


def refuse_sources(files: Iterable[tuple[str, str]]) -> None:
    """`files` are names and URLs; where a URL is empty, the index decides.

    Raises:
        PipFailed: one is no wheel, and so would have to be built.
    """
    sources = [name for name, url in files if url and not _is_wheel(urlsplit(url))]
    if sources:
        raise PipFailed(f"{', '.join(sources[:10])} would have to be built", hint=ONLY_WHEELS)


def _is_wheel(url: SplitResult) -> bool:
    return "+" not in url.scheme and url.path.endswith(".whl")


def uv_platform(platform: Platform) -> str:
    """uv's name of a platform, with the glibc that the environment may count on.

    Raises:
        Unsolvable: uv has none.
    """
    if platform in _UV:
        return _UV[platform]
    if platform not in _MACHINES:
        raise Unsolvable(f"A pip part cannot be solved for {platform.value}", hint="Use conda packages there.")
    minor = next((known for known in _GLIBC_KNOWN_TO_UV if known <= _glibc_minor(platform)), 17)
    return f"{_MACHINES[platform]}-manylinux_2_{minor}"


def best_wheel(wheels: Sequence[Mapping[str, Any]], platform: Platform, python: str) -> Mapping[str, Any] | None:
    """The entry whose file an installer would take, None where none fits."""
    ranks = _ranks(platform, tuple(int(part) for part in python.split(".")[:2]))
    fitting = []
    for wheel in wheels:
        file_name = wheel.get("name") or str(wheel.get("url") or wheel.get("path")).rpartition("/")[2]
        try:
            _, _, build, tags = parse_wheel_filename(file_name)
        except InvalidWheelFilename:
            continue
        found = [ranks[tag] for tag in tags if tag in ranks]
        if found:
            fitting.append((min(found), tuple(-part if isinstance(part, int) else 0 for part in build), wheel))
    return min(fitting, key=lambda item: item[:2])[2] if fitting else None


@lru_cache(maxsize=64)
def _ranks(platform: Platform, python: tuple[int, ...]) -> Mapping[Tag, int]:
    platforms = list(_platforms(platform))
    interpreter = f"cp{python[0]}{python[1]}"
    tags = [
        *cpython_tags(python, abis=[interpreter], platforms=platforms),
        *compatible_tags(python, interpreter=interpreter, platforms=platforms),
    ]
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


def _platforms(platform: Platform) -> Iterator[str]:
    if platform in _MAC_ARCHITECTURES:
        yield from mac_platforms(_MACOS, _MAC_ARCHITECTURES[platform])
    elif platform.is_windows:
        yield "win_amd64" if platform is Platform.WIN_64 else "win_arm64"
    elif platform in _MACHINES:
        machine = _MACHINES[platform]
        for minor in range(_glibc_minor(platform), 4, -1):
            yield f"manylinux_2_{minor}_{machine}"
            if minor in _LEGACY:
                yield f"{_LEGACY[minor]}_{machine}"
        yield f"linux_{machine}"


def _glibc_minor(platform: Platform) -> int:
    versions = (str(package.version) for package in virtual_packages(platform) if package.name.normalized == "__glibc")
    major, _, minor = next(versions, "2.28").partition(".")
    return int(minor.partition(".")[0] or 0) if major == "2" else 28
