"""An environment made by hand, as an installer leaves it: rewritten files, links into a cache, odd paths."""

import hashlib
import json
import os
import py_compile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conda_store.domain.lock import CondaPackage, PlatformLock
from conda_store.domain.platform import current_platform

PLACEHOLDER = ("/opt/build-place" + "_placehold" * 30)[:255]


def installed(content: bytes, prefix: str, *, is_binary: bool) -> bytes:
    """What an installer makes of a packaged file."""
    if not is_binary:
        return content.replace(PLACEHOLDER.encode(), prefix.encode())
    strings = content.split(b"\0")
    return b"\0".join(
        string.replace(PLACEHOLDER.encode(), prefix.encode()).ljust(len(string), b"\0") for string in strings
    )


@dataclass
class MadePrefix:
    """`expected(where)` is what each file should hold once the environment has been moved there."""

    path: Path
    cache: Path
    lock: PlatformLock = field(default_factory=lambda: PlatformLock(current_platform()))
    packaged: dict[str, tuple[bytes, bool]] = field(default_factory=dict)
    own: dict[str, bytes] = field(default_factory=dict)

    def add_packaged(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """A file of a package: rewritten where the placeholder is in it, else linked from the cache."""
        is_binary = b"\0" in content
        self.packaged[path] = (content, is_binary)
        target = self._file(path)
        if PLACEHOLDER.encode() in content:
            target.write_bytes(installed(content, str(self.path), is_binary=is_binary))
            target.chmod(mode)
            return
        cached = self.cache / hashlib.sha256(path.encode()).hexdigest()
        cached.write_bytes(content)
        cached.chmod(mode)
        os.utime(cached, (1_500_000_000, 1_500_000_000))
        os.link(cached, target)

    def add_own(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """A file that pip or a script made; `{prefix}` in it is where the environment lies."""
        self.own[path] = content
        target = self._file(path)
        target.write_bytes(content.replace(b"{prefix}", str(self.path).encode()))
        target.chmod(mode)

    def write_record(self, name: str = "made", version: str = "1.0", build: str = "0") -> None:
        """`conda-meta` for everything that was added as packaged, and a lock that names the package."""
        paths = []
        for path, (content, is_binary) in self.packaged.items():
            item = {"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(content).hexdigest()}
            if PLACEHOLDER.encode() in content:
                item |= {"prefix_placeholder": PLACEHOLDER, "file_mode": "binary" if is_binary else "text"}
            paths.append(item)
        record = {
            "name": name,
            "version": version,
            "build": build,
            "extracted_package_dir": str(self.cache / "made-1.0-0"),
            "link": {"source": str(self.cache / "made-1.0-0"), "type": 1},
            "files": list(self.packaged),
            "paths_data": {"paths_version": 1, "paths": paths},
        }
        file = self._file(f"conda-meta/{name}-{version}-{build}.json")
        file.write_text(json.dumps(record, indent=2))
        file.chmod(0o600)
        package = CondaPackage(name, version, build, "noarch", "https://example.org/made.conda", "https://example.org")
        self.lock = PlatformLock(current_platform(), (package,))

    def add_compiled(self, source: str) -> str:
        """A `.pyc` of a source in the prefix, which names the source by its full path; returns its path."""
        compiled = py_compile.compile(str(self.path / source), doraise=True)
        assert compiled is not None
        return str(Path(compiled).relative_to(self.path))

    def expected(self, where: Path) -> dict[str, bytes]:
        return {
            path: installed(content, str(where), is_binary=is_binary)
            for path, (content, is_binary) in self.packaged.items()
        } | {path: content.replace(b"{prefix}", str(where).encode()) for path, content in self.own.items()}

    def _file(self, path: str) -> Path:
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


BINARY = b"\x7fELF\0" + PLACEHOLDER.encode() + b"/lib:" + PLACEHOLDER.encode() + b"/lib64\0tail\0\xff\n\0"


@pytest.fixture
def bare_prefix(tmp_path: Path) -> MadePrefix:
    """Nothing but a directory."""
    prefix, cache = tmp_path / "server-store" / "1234-environment", tmp_path / "server-cache"
    prefix.mkdir(parents=True)
    cache.mkdir()
    return MadePrefix(prefix, cache)


@pytest.fixture
def made_prefix(bare_prefix: MadePrefix) -> MadePrefix:
    """All that archives have to carry, and no Python."""
    made = bare_prefix
    placeholder = PLACEHOLDER.encode()
    made.add_packaged("bin/tool", b"#!" + placeholder + b"/bin/interpreter\nexec " + placeholder + b"/x\n", mode=0o775)
    made.add_packaged("bin/tool-with-option", b"#! " + placeholder + b"/bin/interpreter -E -s\nx\n", mode=0o755)
    made.add_packaged("bin/interpreter", b'#!/bin/sh\necho interpreted "$@"\n', mode=0o555)
    made.add_packaged("bin/privileged", b"#!/bin/sh\n", mode=0o4755)
    made.add_packaged("etc/text.conf", b"home = " + placeholder + b"/etc & more\nno newline at the end")
    made.add_packaged("lib/library.so", BINARY, mode=0o755)
    made.add_packaged("lib/no-final-nul.bin", b"a\0" + placeholder + b"/x\0end\xfe")
    made.add_packaged("lib/untouched.bin", bytes(range(256)) * 5000, mode=0o444)
    made.add_packaged("share/empty", b"")
    made.add_packaged("share/ünicode/" + "long-name-" * 15 + "/" + "x" * 120 + ".txt", b"far away")
    made.add_own("bin/pip-script", b"#!{prefix}/bin/interpreter\n", mode=0o755)
    made.add_own("conda-meta/history", b"==> 2026 <==\n# cmd: create -p {prefix}\n")
    made.add_own("share/with space.txt", b"in {prefix}/share\n")
    (made.path / "share/empty-directory").mkdir()
    (made.path / "lib/library.so.1").symlink_to("library.so")
    (made.path / "lib/absolute").symlink_to(made.path / "share/empty")
    (made.path / "lib/outside").symlink_to("/nowhere/at/all")
    (made.path / "lib/far").symlink_to("../" * 40 + "x" * 100)
    made.write_record()
    return made
