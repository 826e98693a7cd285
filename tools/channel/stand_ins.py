"""Stand-ins for other platforms, so that an environment can be solved and locked for several.

A stand-in has the name, the version and the dependencies of a package of linux-64, and one small file.
"""

from __future__ import annotations

from collections.abc import Iterable

from .conda_package import File, Package
from .libraries import SUBDIR
from .store import Cache, Made, package_key

_OF_THE_SYSTEM = ("__glibc", "libgcc", "libstdcxx")
_PLATFORM_NEEDS = {"osx-64": ("__osx >=11.0",), "osx-arm64": ("__osx >=11.0",), "linux-aarch64": ("__glibc >=2.17",)}


def stand_ins(cache: Cache, packages: Iterable[Made], platforms: Iterable[str]) -> list[Made]:
    """`tiny-lib` for every platform (and the real one), and stand-ins for `python` and the compiled wheels given."""
    own = [_tiny_lib(cache, platform) for platform in (*platforms, SUBDIR)]
    return own + [_stand_in(cache, made, platform) for platform in platforms for made in packages]


def _stand_in(cache: Cache, made: Made, platform: str) -> Made:
    record = made.record
    name, depends = str(record["name"]), record["depends"]
    assert isinstance(depends, list)
    kept = [spec for spec in depends if not spec.startswith(_OF_THE_SYSTEM)]
    if name == "python":  # the libraries it needs have no stand-ins
        kept = ["tzdata", *_PLATFORM_NEEDS.get(platform, ())]
    package = Package(
        name,
        str(record["version"]),
        str(record["build"]),
        subdir=platform,
        depends=tuple(kept),
        constrains=tuple(record["constrains"]) if isinstance(record["constrains"], list) else (),
        license=str(record["license"]) if "license" in record else None,
    )
    return cache.package(package_key("stand-in", made.key, platform), lambda: (package, _program(platform, name)))


def _program(platform: str, name: str) -> dict[str, File]:
    if name != "python":
        return {f"share/{name}/stand-in": File(b"")}
    path = "python.exe" if platform.startswith("win-") else "bin/python"
    return {path: File(b"#!/bin/sh\necho this Python is a stand-in >&2\nexit 1\n", 0o755)}


def _tiny_lib(cache: Cache, platform: str) -> Made:
    tree = {"share/tiny-lib/platform": File(f"{platform}\n".encode())}
    package = Package("tiny-lib", "1.0", subdir=platform, license="MIT")
    return cache.package(package_key("tiny-lib", platform), lambda: (package, tree))
