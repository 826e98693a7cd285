"""Make ELF files find their libraries in the environment they are installed in."""

from __future__ import annotations

import posixpath
import re
import shutil
import tempfile
from pathlib import Path

from .conda_package import Entry, File
from .process import program, run

# ld.so, libc and their sisters come from the operating system: see the __glibc dependency
_GLIBC = re.compile(r"(ld-linux.*|lib(anl|c|dl|m|mvec|pthread|resolv|rt|util))\.so\.\d+")


def is_loadable(entry: Entry) -> bool:
    """Whether it is an executable or a shared object (ET_EXEC or ET_DYN; object files are neither)."""
    return isinstance(entry, File) and entry.data[:4] == b"\x7fELF" and entry.data[16:17] in (b"\2", b"\3")


def relocate(tree: dict[str, Entry]) -> set[str]:
    """Give every ELF file of the tree an RPATH to the environment's lib/, in place, and strip it of symbols.

    Returns the sonames that the tree needs from other packages. DT_RPATH and not DT_RUNPATH, as only the former also
    holds for the libraries of libraries, such as libstdc++ for a wheel.
    """
    needed: set[str] = set()
    for path, entry in tree.items():
        if isinstance(entry, File) and is_loadable(entry):
            data, names = _relocated(entry.data, posixpath.relpath("lib", posixpath.dirname(path)))
            tree[path] = File(data, 0o755)
            needed |= names
    own = {posixpath.basename(path) for path in tree}
    return {name for name in needed - own if not _GLIBC.fullmatch(name)}


def _relocated(data: bytes, lib: str) -> tuple[bytes, set[str]]:
    patchelf = program("patchelf")
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "elf")
        file.write_bytes(data)
        if shutil.which("strip"):
            run("strip", "--strip-unneeded", file)
        needed = run(patchelf, "--print-needed", file).decode().split()
        run(patchelf, "--force-rpath", "--set-rpath", f"$ORIGIN/{lib}", file)
        return file.read_bytes(), set(needed)
