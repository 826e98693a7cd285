"""Write `.conda` packages: an outer zip with two zstd-compressed tars (conda's package format 2).

A package's files are a mapping from the path inside the prefix to a `File`, a `Symlink` or a `Directory`, so nothing
has to be laid out on disk first. The bytes written depend on the arguments only: same input, same sha256.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import posixpath
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

PLACEHOLDER = ("/opt/conda-store-channel/build-prefix" + "_placehold" * 22)[:255]
"""The prefix that packages say they were built at, 255 characters, as long as an installer can shorten it to."""

EPOCH = 1_577_836_800
"""2020-01-01T00:00:00Z in seconds: the time of files whose source knows none."""


@dataclass(frozen=True, slots=True)
class File:
    """A regular file. If `PLACEHOLDER` is in it, the installer rewrites it: as text, unless there is a NUL byte."""

    data: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link; `target` is taken as it is."""

    target: str


@dataclass(frozen=True, slots=True)
class Directory:
    """An empty directory. It is in the archive but not in paths.json, as rattler fails on `path_type: directory`;
    so installers do not create it."""


Entry = File | Symlink | Directory
Tree = Mapping[str, Entry]


@dataclass(frozen=True)
class Package:
    """What `info/` of a package says. `timestamp` is in seconds; index.json gets milliseconds."""

    name: str
    version: str
    build: str = "0"
    build_number: int = 0
    subdir: str = "noarch"
    noarch: str | None = None
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    timestamp: int = EPOCH
    license: str | None = None
    entry_points: tuple[str, ...] = ()
    about: Mapping[str, object] = field(default_factory=dict)
    licenses: Mapping[str, bytes] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}-{self.build}.conda"

    def index_json(self) -> dict[str, object]:
        """The package record; fields in `extra` win."""
        record: dict[str, object] = {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": self.build_number,
            "depends": sorted(self.depends),
            "constrains": sorted(self.constrains),
            "subdir": self.subdir,
            "timestamp": self.timestamp * 1000,
        }
        if self.noarch:
            record["noarch"] = self.noarch
        if self.license:
            record["license"] = self.license
        return record | dict(self.extra)


def read_tree(root: Path) -> dict[str, Entry]:
    """The files and links under `root`; of the modes only "executable or not" is kept."""
    tree: dict[str, Entry] = {}
    for directory, names, files in os.walk(root):
        for name in [*files, *(n for n in names if Path(directory, n).is_symlink())]:
            path = Path(directory, name)
            inside = path.relative_to(root).as_posix()
            if path.is_symlink():
                tree[inside] = Symlink(str(path.readlink()))
            else:
                tree[inside] = File(path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644)
    return tree


def write_conda(destination: Path, package: Package, tree: Tree, *, level: int = 3) -> Path:
    """Write the package to the file `destination`, whole or not at all."""
    paths = [_path_entry(path, entry, tree) for path, entry in sorted(tree.items()) if not isinstance(entry, Directory)]
    info = _tar({name: File(data) for name, data in _info(package, paths).items()}, package.timestamp)
    content = _tar(tree, package.timestamp)
    stem = package.file_name.removesuffix(".conda")
    compress = zstandard.ZstdCompressor(level=level).compress
    destination.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=destination.parent, prefix=".", suffix=".partial")
    with os.fdopen(handle, "wb") as out, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (
            ("metadata.json", b'{"conda_pkg_format_version": 2}'),
            (f"pkg-{stem}.tar.zst", compress(content)),
            (f"info-{stem}.tar.zst", compress(info)),
        ):
            archive.writestr(zipfile.ZipInfo(name), data)
    Path(partial).chmod(0o644)
    return Path(partial).replace(destination)


def _info(package: Package, paths: list[dict[str, object]]) -> dict[str, bytes]:
    info = {
        "index.json": _json(package.index_json()),
        "paths.json": _json({"paths": paths, "paths_version": 1}),
        "about.json": _json(package.about),
        "files": "".join(f"{entry['_path']}\n" for entry in paths).encode(),
    }
    if package.noarch == "python":
        noarch = {"type": "python", "entry_points": list(package.entry_points)}
        info["link.json"] = _json({"noarch": noarch, "package_metadata_version": 1})
    prefixed = [f"{PLACEHOLDER} {e['file_mode']} {e['_path']}\n" for e in paths if "file_mode" in e]
    if prefixed:
        info["has_prefix"] = "".join(prefixed).encode()
    info |= {f"licenses/{name}": data for name, data in package.licenses.items()}
    return {f"info/{name}": data for name, data in info.items()}


def _path_entry(path: str, entry: File | Symlink, tree: Tree) -> dict[str, object]:
    """One entry of paths.json; size and sha256 of a link are those of the file it leads to."""
    data = entry.data if isinstance(entry, File) else _behind(path, entry, tree)
    described: dict[str, object] = {
        "_path": path,
        "path_type": "hardlink" if isinstance(entry, File) else "softlink",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_in_bytes": len(data),
    }
    if isinstance(entry, File) and PLACEHOLDER.encode() in data:
        described |= {"file_mode": "binary" if b"\0" in data else "text", "prefix_placeholder": PLACEHOLDER}
    return described


def _behind(path: str, link: Symlink, tree: Tree) -> bytes:
    for _ in range(8):  # a link to a link to ...; a loop or a link out of the package has no content
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), link.target))
        entry = tree.get(path)
        if isinstance(entry, File):
            return entry.data
        if not isinstance(entry, Symlink):
            break
        link = entry
    return b""


def _tar(tree: Tree, mtime: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(tree):
            entry = tree[path]
            member = tarfile.TarInfo(path)
            member.mtime = mtime
            match entry:
                case File(data, mode):
                    member.size, member.mode = len(data), mode
                    archive.addfile(member, io.BytesIO(data))
                case Symlink(target):
                    member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
                    archive.addfile(member)
                case Directory():
                    member.type, member.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(member)
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, default=dict).encode()
