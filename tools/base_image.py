"""A base image for containers where none can be pulled: Debian's C library and busybox, as a tar of a root directory.

`python -m tools.base_image FILE` writes it; `c.CondaStore.default_docker_base_image = "tar:FILE"` uses it.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tools.channel import ChannelError
from tools.channel.conda_package import Entry, File, Symlink
from tools.channel.debian import Debian
from tools.channel.store import Cache

ROOT = Path(__file__).parent.parent
_PACKAGES = ("libc6", "libgcc-s1", "busybox-static")
_LEFT_OUT = re.compile(r"usr/share/|usr/lib/[^/]+-linux-gnu/(gconv|audit)/|etc/ld\.so\.conf\.d/")
_COMMANDS = (
    "sh", "ash", "cat", "cp", "chmod", "chown", "date", "dirname", "basename", "echo", "env", "false", "find", "grep",
    "head", "hostname", "id", "kill", "ln", "ls", "mkdir", "mktemp", "mv", "ps", "pwd", "readlink", "rm", "rmdir",
    "sed", "sleep", "sort", "stat", "stty", "tail", "tar", "tee", "test", "touch", "tr", "true", "uname", "vi", "wc",
    "which",
)  # fmt: skip
_FOLDERS = ("dev", "etc", "proc", "sys", "root", "tmp", "var", "opt", "usr", "usr/bin", "usr/lib", "usr/lib64")
_TIME = 1_577_836_800  # 2020-01-01


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m tools.base_image FILE", file=sys.stderr)
        return 2
    try:
        make_base_image(Path(sys.argv[1]))
    except ChannelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def make_base_image(target: Path, debian: Debian | None = None, further: Sequence[str] = ()) -> None:
    """Write the tar unless it is there already; it appears when it is complete. `further` are packages of libraries
    that it shall have, too.

    Raises:
        ChannelError: this is no Debian, or its packages cannot be had.
    """
    if target.exists():
        return
    tree = _tree(debian or Debian(Cache(ROOT / ".cache" / "base-image")), [*_PACKAGES, *further])
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as tar:
        parents = {str(parent) for path in tree for parent in PurePosixPath(path).parents[:-1]}
        for folder in sorted({*_FOLDERS, *parents}):
            _add(tar, folder, tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755)
        for path, entry in sorted(tree.items()):
            if isinstance(entry, Symlink):
                _add(tar, path, tarfile.SYMTYPE, link=entry.target)
            elif isinstance(entry, File):
                _add(tar, path, tarfile.REGTYPE, mode=entry.mode, data=entry.data)
    partial.replace(target)


def _tree(debian: Debian, packages: list[str]) -> dict[str, Entry]:
    debian.fetch(packages)
    tree: dict[str, Entry] = {}
    for package in packages:
        found = debian.contents(package)
        tree |= {path: entry for path, entry in found.items() if not _LEFT_OUT.match(path)}
    tree |= {f"usr/bin/{command}": Symlink("busybox") for command in _COMMANDS}
    tree |= {folder: Symlink(f"usr/{folder}") for folder in ("bin", "lib", "lib64")}
    tree["sbin"] = Symlink("usr/bin")
    tree["etc/passwd"] = File(b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n", 0o644)
    tree["etc/group"] = File(b"root:x:0:\nnogroup:x:65534:\n", 0o644)
    tree["etc/nsswitch.conf"] = File(b"passwd: files\ngroup: files\nhosts: files dns\n", 0o644)
    return tree


def _add(tar: tarfile.TarFile, path: str, kind: bytes, *, mode: int = 0o777, data: bytes = b"", link: str = "") -> None:
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.size, member.linkname, member.mtime = kind, mode, len(data), link, _TIME
    tar.addfile(member, io.BytesIO(data))


if __name__ == "__main__":
    sys.exit(main())
