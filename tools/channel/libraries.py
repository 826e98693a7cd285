"""The shared libraries and small tools that Python and wheels need, taken out of Debian packages."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass

from .conda_package import EPOCH, Entry, File, Package, Symlink
from .debian import Debian
from .elf import relocate
from .process import ChannelError, say
from .store import Cache, Made, package_key

SUBDIR = "linux-64"
GLIBC = f"__glibc >={platform.libc_ver()[1]},<3.0.a0"
"""What binaries of this machine's release need of the machine they run on."""


@dataclass(frozen=True)
class Recipe:
    """Which Debian packages a conda package is made of."""

    debs: tuple[str, ...]
    license: str
    depends: tuple[str, ...] = ()


LIBRARIES = {
    "libzlib": Recipe(("zlib1g",), "Zlib"),
    "bzip2": Recipe(("libbz2-1.0",), "bzip2-1.0.6"),
    "liblzma": Recipe(("liblzma5",), "0BSD"),
    "libffi": Recipe(("libffi8",), "MIT"),
    "libexpat": Recipe(("libexpat1",), "MIT"),
    "libuuid": Recipe(("libuuid1",), "BSD-3-Clause"),
    "libsqlite": Recipe(("libsqlite3-0",), "blessing"),
    "ncurses": Recipe(("libtinfo6", "libncursesw6", "libncurses6", "ncurses-base"), "X11"),
    "readline": Recipe(("libreadline8",), "GPL-3.0-only"),
    "libxcrypt": Recipe(("libcrypt1",), "LGPL-2.1-or-later"),
    "openssl": Recipe(("libssl3",), "Apache-2.0", ("ca-certificates",)),
    "libgcc": Recipe(("libgcc-s1",), "GPL-3.0-only WITH GCC-exception-3.1"),
    "libstdcxx": Recipe(("libstdc++6",), "GPL-3.0-only WITH GCC-exception-3.1"),
    "libgomp": Recipe(("libgomp1",), "GPL-3.0-only WITH GCC-exception-3.1"),
}
TOOLS = {
    "jq": Recipe(("jq", "libjq1", "libonig5"), "MIT"),
    "sqlite": Recipe(("sqlite3",), "blessing"),
    "tree": Recipe(("tree",), "GPL-2.0-or-later"),
    "unzip": Recipe(("unzip",), "Info-ZIP"),
    "zip": Recipe(("zip",), "Info-ZIP"),
}


class Sonames(dict[str, str]):
    """soname -> the conda package that brings it."""

    def depends(self, needed: set[str], user: str) -> set[str]:
        for name in sorted(needed - set(self)):
            say(f"note: {user} needs {name}, which no package here brings")
        return {self[name] for name in needed if name in self}


def debian_packages(cache: Cache, debian: Debian, tools: tuple[str, ...]) -> tuple[list[Made], Sonames]:
    """Libraries, the tools asked for, certificates and time zones; and where to find which library."""
    unknown = set(tools) - set(TOOLS)
    if unknown:
        raise ChannelError(f"unknown tools: {', '.join(sorted(unknown))}", f"there are {', '.join(TOOLS)}")
    recipes = LIBRARIES | {name: TOOLS[name] for name in tools}
    debian.fetch(["ca-certificates", "tzdata", *(deb for recipe in recipes.values() for deb in recipe.debs)])
    sonames = Sonames()
    packages = [_certificates(cache, debian), _time_zones(cache, debian)]
    for name, recipe in recipes.items():
        made = _library(cache, debian, name, recipe, sonames)
        brought = made.about["sonames"]
        assert isinstance(brought, list)
        sonames.update(dict.fromkeys(brought, name))
        packages.append(made)
    return packages, sonames


def _library(cache: Cache, debian: Debian, name: str, recipe: Recipe, sonames: Sonames) -> Made:
    debs = [debian.deb(deb) for deb in recipe.debs]

    def make() -> tuple[Package, dict[str, Entry]]:
        unpacked = {path: entry for deb in recipe.debs for path, entry in debian.contents(deb).items()}
        tree = _as_prefix(unpacked)
        needed = relocate(tree)
        package = Package(
            name,
            debian.version(recipe.debs[0]),
            build="deb_0",
            subdir=SUBDIR,
            depends=(GLIBC, *recipe.depends, *(sonames.depends(needed, name) - {name})),
            timestamp=EPOCH,
            license=recipe.license,
            licenses=_copyrights(unpacked),
            about={
                "summary": f"{name}, from Debian's {', '.join(recipe.debs)}",
                "sonames": sorted(path.split("/")[-1] for path in tree if re.match(r"lib/[^/]+\.so", path)),
            },
        )
        return package, tree

    return cache.package(package_key("library", name, vars(recipe), [deb.name for deb in debs]), make)


def _as_prefix(unpacked: dict[str, Entry]) -> dict[str, Entry]:
    """Libraries, programs and terminfo, where conda has them; links that lead nowhere are left out."""
    tree: dict[str, Entry] = {}
    for path, entry in unpacked.items():
        place = re.sub(r"^usr/lib/x86_64-linux-gnu/", "lib/", path)
        place = re.sub(r"^usr/lib/terminfo/", "share/terminfo/", place)
        place = re.sub(r"^usr/bin/", "bin/", place)
        if re.match(r"(lib/[^/]+\.so|share/terminfo/|bin/)", place):
            tree[place] = entry
    for path, entry in list(tree.items()):
        if isinstance(entry, Symlink) and f"{path.rsplit('/', 1)[0]}/{entry.target}" not in tree:
            del tree[path]
    return tree


def _copyrights(unpacked: dict[str, Entry]) -> dict[str, bytes]:
    found = {path.split("/")[-2]: entry for path, entry in unpacked.items() if path.endswith("/copyright")}
    return {f"{name}.copyright": entry.data for name, entry in found.items() if isinstance(entry, File)}


def _certificates(cache: Cache, debian: Debian) -> Made:
    def make() -> tuple[Package, dict[str, Entry]]:
        unpacked = sorted(debian.contents("ca-certificates").items())
        texts = [entry.data for path, entry in unpacked if path.endswith(".crt") and isinstance(entry, File)]
        pem = b"".join(text.rstrip() + b"\n" for text in texts)
        tree: dict[str, Entry] = {"ssl/cacert.pem": File(pem), "ssl/cert.pem": Symlink("cacert.pem")}
        version = debian.version("ca-certificates")
        return Package("ca-certificates", version, build="deb_0", noarch="generic", license="MPL-2.0"), tree

    return cache.package(package_key("certificates", debian.deb("ca-certificates").name), make)


def _time_zones(cache: Cache, debian: Debian) -> Made:
    def make() -> tuple[Package, dict[str, Entry]]:
        inside = "usr/share/zoneinfo/"
        unpacked = {
            path.removeprefix("usr/"): entry
            for path, entry in debian.contents("tzdata").items()
            if path.startswith(inside) and not re.match(r"(right|posix)/", path.removeprefix(inside))
        }
        tree = {path: e for path, e in unpacked.items() if not (isinstance(e, Symlink) and e.target.startswith("/"))}
        version = debian.version("tzdata")
        license = "LicenseRef-Public-Domain"
        return Package("tzdata", version, build="deb_0", noarch="generic", license=license), tree

    return cache.package(package_key("time zones", debian.deb("tzdata").name), make)
