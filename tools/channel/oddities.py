"""Small packages, each with one thing that an installer, a solver or a server may stumble over."""

from __future__ import annotations

import dataclasses

from .conda_package import PLACEHOLDER, Directory, Entry, File, Package, Symlink
from .libraries import SUBDIR
from .store import Cache, Made, package_key

_PREFIX = PLACEHOLDER.encode()


def _text(*lines: str, mode: int = 0o644) -> File:
    return File("".join(f"{line}\n" for line in lines).encode(), mode)


def _script(*lines: str) -> File:
    return _text("#!/bin/sh", *lines, mode=0o755)


def _link_script(package: str, action: str, *lines: str) -> dict[str, Entry]:
    return {f"bin/.{package}-{action}.sh": _script(*lines)}


_Odd = tuple[Package, dict[str, Entry]]

_FILES: list[_Odd] = [
    (
        Package("odd-prefix", "1.0", subdir=SUBDIR),
        {
            "bin/odd-prefix": _script(f"echo {PLACEHOLDER}"),
            "bin/odd-prefix-python": _text(
                f"#!{PLACEHOLDER}/bin/python", "import sys", "print(sys.prefix)", mode=0o755
            ),
            "etc/odd-prefix.conf": _text(f"home={PLACEHOLDER}", f"lib={PLACEHOLDER}/lib"),
            "lib/odd-prefix.bin": File(b"\0one\0" + _PREFIX + b"/one\0two\0" + _PREFIX + b"/a:" + _PREFIX + b"/b\0end"),
        },
    ),
    (
        Package("odd-activate", "1.0"),
        {
            "etc/conda/activate.d/odd-activate.sh": _text('export ODD_ACTIVATED="$CONDA_PREFIX"'),
            "etc/conda/deactivate.d/odd-activate.sh": _text("unset ODD_ACTIVATED"),
            "etc/conda/env_vars.d/odd-activate.json": _text('{"ODD_VARIABLE": "of the package"}'),
        },
    ),
    (
        Package("odd-post-link", "1.0", subdir=SUBDIR),
        {
            "share/odd-post-link/file": _text("linked"),
            **_link_script(
                "odd-post-link",
                "post-link",
                'echo "$PKG_NAME $PKG_VERSION" >"$PREFIX/odd-post-link.txt"',
                'echo "post-link of odd-post-link ran" >>"$PREFIX/.messages.txt"',
            ),
            **_link_script("odd-post-link", "pre-unlink", 'rm -f "$PREFIX/odd-post-link.txt"'),
        },
    ),
    (
        Package("odd-post-link-fails", "1.0", subdir=SUBDIR),
        _link_script("odd-post-link-fails", "post-link", "echo this fails >&2", "exit 3"),
    ),
    (Package("odd-clobber-a", "1.0"), {"share/odd-clobber/same": _text("of a"), "share/odd-clobber/a": _text("a")}),
    (Package("odd-clobber-b", "1.0"), {"share/odd-clobber/same": _text("of b"), "share/odd-clobber/b": _text("b")}),
    (
        Package("odd-symlink", "1.0", subdir=SUBDIR),
        {
            "lib/libodd.so.1.2.3": File(b"\x7fELF, but only the first word of it\0"),
            "lib/libodd.so.1": Symlink("libodd.so.1.2.3"),
            "lib/libodd.so": Symlink("libodd.so.1"),
            "share/odd-symlink/up": Symlink("../../lib/libodd.so"),
            "share/odd-symlink/nowhere": Symlink("not-there"),
        },
    ),
    (
        Package("odd-modes", "1.0", subdir=SUBDIR),
        {
            "bin/odd-setuid": File(b"#!/bin/sh\nid -u\n", 0o4755),
            "bin/odd-setgid": File(b"#!/bin/sh\nid -g\n", 0o2755),
            "share/odd-modes/secret": File(b"", 0o600),
            "share/odd-modes/read-only": File(b"", 0o444),
            "share/odd-modes/open": File(b"", 0o666),
        },
    ),
    (Package("odd-empty-directory", "1.0"), {"share/odd-empty-directory": Directory()}),
    (Package("odd-no-files", "1.0"), {}),
    (
        Package("odd-unicode", "1.0"),
        {"share/odd-unicode/naïve – ü 環境 😀.txt": _text("x"), "share/odd-unicode/with space, comma": _text("x")},
    ),
    (
        Package("odd-long-path", "1.0"),
        {
            "share/" + "n" * 200: _text("a name of 200 bytes"),
            "share/" + "/".join(["deep" * 10] * 15) + "/file": _text("a path of more than 600 bytes"),
        },
    ),
    (
        Package(
            "odd-python",
            "1.0",
            noarch="python",
            depends=("python >=3.11",),
            entry_points=("odd-python = odd_python:main",),
        ),
        {
            "site-packages/odd_python/__init__.py": _text("import sys", "", "def main():", "    print(sys.prefix)"),
            "python-scripts/odd-python-script": _text(f"#!{PLACEHOLDER}/bin/python", "import odd_python", mode=0o755),
        },
    ),
    (
        Package(
            "odd-licensed",
            "1.0",
            license="BSD-3-Clause AND MIT",
            extra={"license_family": "BSD", "license_url": "https://example.org/license"},
            licenses={"LICENSE.txt": b"You may do what you like.\n"},
            about={"summary": "A package that says much of itself", "home": "https://example.org", "license": "MIT"},
        ),
        {"share/odd-licensed": _text("x")},
    ),
]

_SOLVING: list[Package] = [
    *(Package("demo-lib", version) for version in ("1.0", "1.1", "2.0")),
    Package("demo-app", "1.0", depends=("demo-lib >=1.0,<2.0",)),
    Package("demo-app", "2.0", depends=("demo-lib >=2.0",)),
    Package("demo-conflict", "1.0", depends=("demo-app >=2.0", "demo-lib <2.0")),
    Package("demo-constrains", "1.0", constrains=("demo-lib <2.0",)),
    Package("demo-missing-dependency", "1.0", depends=("no-such-package >=1",)),
    Package("demo-cuda", "1.0", "cuda_1", 1, depends=("__cuda >=12",)),
    Package("demo-cuda", "1.0", "cpu_0"),
    Package("demo-cuda-only", "1.0", depends=("__cuda",)),
]


def oddities(cache: Cache) -> list[Made]:
    """All of them. `demo-*` are for solvers (demo-conflict can never be installed), `odd-*` for installers."""
    solving: list[_Odd] = [(one, {f"share/{one.name}/version": _text(one.version)}) for one in _SOLVING]
    return [_made(cache, package, tree) for package, tree in _FILES + solving]


def _made(cache: Cache, package: Package, tree: dict[str, Entry]) -> Made:
    if package.subdir == "noarch" and package.noarch is None:
        package = dataclasses.replace(package, noarch="generic")
    return cache.package(package_key("odd", repr(package), repr(sorted(tree.items()))), lambda: (package, tree))
