"""Virtual packages: what a platform is taken to provide, `__glibc` or `__cuda`, when nobody looks at the machine.

For the platform that this process runs on they are detected; for the others usual values stand in. A specification's
`variables` have the last word, as conda has it: `CONDA_OVERRIDE_GLIBC: "2.17"`, and `""` takes one away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from rattler import BuildString, GenericVirtualPackage, PackageName, Version, VirtualPackage

from conda_store.domain.platform import Platform, current_platform
from conda_store.errors import Unsolvable

OVERRIDE = "CONDA_OVERRIDE_"
_ARCHITECTURES = {
    Platform.LINUX_64: "x86_64",
    Platform.LINUX_AARCH64: "aarch64",
    Platform.LINUX_PPC64LE: "ppc64le",
    Platform.OSX_64: "x86_64",
    Platform.OSX_ARM64: "m1",
    Platform.WIN_64: "x86_64",
    Platform.WIN_ARM64: "aarch64",
}
_FAMILIES = {
    "linux": {"__unix": "0", "__linux": "5.10", "__glibc": "2.28"},
    "osx": {"__unix": "0", "__osx": "13.0"},
    "win": {"__win": "10.0"},
}
# an override of one family's package says nothing about the others
_BELONGS_TO = {
    "__glibc": {"linux"},
    "__linux": {"linux"},
    "__osx": {"osx"},
    "__win": {"win"},
    "__cuda": {"linux", "win"},
}


def virtual_packages(
    platform: Platform, variables: Mapping[str, str | int] | None = None, configured: Sequence[str] = ()
) -> list[GenericVirtualPackage]:
    """What the solver takes as given on a platform, by name.

    `configured` are the deployment's own, `name=version` or `name=version=build`.

    Raises:
        Unsolvable: an override is no version.
    """
    found = dict(_detected() if platform is current_platform() else _usual(platform))
    for text in configured:
        name, version, build = (*text.split("=", 2), "", "")[:3]
        _put(found, name, version, build or "0", source=f"virtual package {text!r}")
    for variable, value in (variables or {}).items():
        if not variable.startswith(OVERRIDE):
            continue
        name = f"__{variable.removeprefix(OVERRIDE).lower()}"
        if platform.family in _BELONGS_TO.get(name, {platform.family}):
            _override(found, name, str(value).strip(), variable)
    return [
        GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))
        for name, (version, build) in sorted(found.items())
    ]


def _override(found: dict[str, tuple[str, str]], name: str, value: str, variable: str) -> None:
    if not value:
        found.pop(name, None)
    elif name == "__archspec":
        found[name] = ("1", value)
    else:
        _put(found, name, value, "0", source=f"variable {variable}={value}")


def _put(found: dict[str, tuple[str, str]], name: str, version: str, build: str, *, source: str) -> None:
    try:
        PackageName(name)
        Version(version)
        is_version = version[:1].isdigit()  # conda takes words for versions too
    except Exception:
        is_version = False
    if not is_version:
        raise Unsolvable(f"The {source} does not name a version", hint="Write a version such as 12.4.")
    found[name] = (version, build)


def _usual(platform: Platform) -> dict[str, tuple[str, str]]:
    usual = {name: (version, "0") for name, version in _FAMILIES[platform.family].items()}
    return usual | {"__archspec": ("1", _ARCHITECTURES[platform])}


@lru_cache(maxsize=1)
def _detected() -> dict[str, tuple[str, str]]:
    generic = (package.into_generic() for package in VirtualPackage.detect())
    return {package.name.normalized: (str(package.version), str(package.build_string)) for package in generic}
