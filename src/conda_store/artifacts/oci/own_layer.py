"""The last layer of an image: what is the environment's own.

Of conda packages alone, that is known beforehand: the history and the variables. Else it is taken from the finished
prefix: the history, the variables, what pip installed, what post-link scripts wrote, and, where packages brought the
same path, the file that the installer let win. What one of these has put in the place of a package's file counts, and
so does what it has taken away. The prefix of the server becomes that of the image.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import stat
from collections.abc import Container, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from conda_store.artifacts.installed_records import without_cache_paths
from conda_store.artifacts.oci.layer_stream import LayerStream, WrittenLayer
from conda_store.artifacts.oci.package_layer import ImageTar
from conda_store.artifacts.relocation import relocate_compiled
from conda_store.domain.image import IMAGE_PREFIX
from conda_store.errors import ArtifactFailed

ENTRYPOINT = "etc/conda-store/activated"
_CLOBBERS = "__clobbers__/"
_ENTRYPOINT_SCRIPT = f"""#!/bin/sh
# runs what it is given in the activated environment
for script in {IMAGE_PREFIX}/etc/conda/activate.d/*.sh; do
    [ -r "$script" ] && . "$script"
done
unset script
exec "$@"
"""


def write_plain_layer(files: Mapping[str, bytes], destination: BinaryIO, *, has_scripts: bool) -> WrittenLayer:
    """The layer of an environment of nothing but conda packages, none of which collide: its own are `files` (by path).

    With `has_scripts` there is an entry point that runs the packages' activation scripts.
    """
    stream = LayerStream(destination)
    tar = ImageTar(stream)
    tar.add_directory("")
    for path, data in sorted(files.items()):
        tar.add_file(path, data, mode=0o644, mtime=0)
    return _finished(stream, tar, has_scripts=has_scripts)


def write_own_layer(prefix: Path, destination: BinaryIO, *, has_scripts: bool) -> WrittenLayer:
    """The layer of what is in the environment at `prefix` and in none of its packages.

    Raises:
        ArtifactFailed: the environment is not complete, or changes meanwhile.
    """
    stream = LayerStream(destination)
    tar = ImageTar(stream)
    tar.add_directory("")
    try:
        own = own_paths(prefix)
        for path in sorted(own.present):
            _add(tar, prefix, path)
        for path in sorted(own.removed):
            folder, separator, name = path.rpartition("/")
            tar.add_file(f"{folder}{separator}.wh.{name}", b"", mode=0o644, mtime=0)  # image-spec, layer.md: whiteouts
    except OSError as error:
        raise ArtifactFailed(f"the environment cannot be read: {error.strerror}") from error
    return _finished(stream, tar, has_scripts=has_scripts)


def _finished(stream: LayerStream, tar: ImageTar, *, has_scripts: bool) -> WrittenLayer:
    if has_scripts:
        tar.add_file(ENTRYPOINT, _ENTRYPOINT_SCRIPT.encode(), mode=0o755, mtime=0)
    tar.end()
    return stream.finish()


@dataclass
class OwnPaths:
    """What an environment has besides the layers of its packages: paths of files and links that are in none of them as
    they are here, and paths that are in one, and not here."""

    present: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)


def own_paths(prefix: Path) -> OwnPaths:
    """
    Raises:
        ArtifactFailed: there is no environment.
        OSError: it cannot be read.
    """
    if not (prefix / "conda-meta").is_dir():
        raise ArtifactFailed("there is no environment: it has no conda-meta directory")
    own = OwnPaths()
    packaged: dict[str, str | None] = {}
    records = list((prefix / "conda-meta").glob("*.json"))
    for record in records:
        document = json.loads(record.read_bytes())
        paths = document.get("paths_data", {}).get("paths", ())
        packaged.update(dict.fromkeys(document.get("files", ())))
        packaged.update({item["_path"]: _digest(item) for item in paths})
        originals = [item["original_path"] for item in paths if "original_path" in item]
        if originals:
            # the layers hold the records as if nothing had collided
            own.present.update(originals, [f"conda-meta/{record.name}"])
    found = set(_files(prefix))
    for path in found:
        is_record = path.startswith("conda-meta/") and path.endswith(".json")
        if not is_record and (path not in packaged or path.startswith(_CLOBBERS)) and not _is_compiled(path, packaged):
            own.present.add(path)
    linked_from = min((record.stat().st_mtime for record in records), default=0.0)
    own.present |= _replaced(prefix, packaged, found, _written_by_pip(prefix, own.present), linked_from)
    # a directory is there, and what lies behind a link
    own.removed = {path for path in packaged.keys() - found if not os.path.lexists(prefix / path)}
    return own


def _digest(entry: Mapping[str, Any]) -> str | None:
    """The sha256 of a package's file as it was installed; None of a link."""
    if entry.get("path_type") == "softlink":
        return None
    digest: str | None = entry.get("sha256_in_prefix") or entry.get("sha256")
    return digest


def _written_by_pip(prefix: Path, own: Set[str]) -> set[str]:
    """What the distributions have installed that no package brought."""
    written: set[str] = set()
    for path in own:
        if path.endswith(".dist-info/RECORD"):
            site_packages = path.rsplit("/", 2)[0]
            with (prefix / path).open(encoding="utf-8", errors="replace", newline="") as rows:
                written.update(os.path.normpath(f"{site_packages}/{row[0]}") for row in csv.reader(rows) if row)
    return written


def _replaced(
    prefix: Path, packaged: Mapping[str, str | None], found: Set[str], by_pip: Set[str], linked_from: float
) -> set[str]:
    """The packaged paths that hold something else now. Files of packages keep the time that they have there, so that
    only what is younger than the first record, or was written by pip, has to be read."""
    replaced: set[str] = set()
    root = str(prefix)
    for path, digest in packaged.items():
        if digest is not None and path in found:
            file = f"{root}/{path}"
            status = os.lstat(file)
            if not stat.S_ISREG(status.st_mode):
                replaced.add(path)
            elif path in by_pip or status.st_mtime >= linked_from:
                with open(file, "rb") as opened:  # noqa: PTH123 - tens of thousands of paths are looked at
                    if hashlib.file_digest(opened, "sha256").hexdigest() != digest:
                        replaced.add(path)
    return replaced


def _files(prefix: Path) -> Iterator[str]:
    for directory, folders, names in os.walk(prefix):
        links = [name for name in folders if Path(directory, name).is_symlink()]
        for name in [*names, *links]:
            yield os.path.relpath(f"{directory}/{name}", prefix)


def _is_compiled(path: str, packaged: Container[str]) -> bool:
    """Whether it was compiled on the server from a packaged source: Python may do that anywhere, any time."""
    folder, _, name = path.rpartition("/")
    if not folder.endswith("__pycache__") or not name.endswith(".pyc"):
        return False
    return f"{folder.removesuffix('__pycache__')}{name.split('.', 1)[0]}.py" in packaged


def _add(tar: ImageTar, prefix: Path, path: str) -> None:
    file = prefix / path
    status = file.lstat()
    if stat.S_ISLNK(status.st_mode):
        tar.add_symlink(path, _link_target(prefix, file))
        return
    if not stat.S_ISREG(status.st_mode):
        return
    data = file.read_bytes()
    is_meta = path.startswith("conda-meta/")
    if is_meta and path.endswith(".json"):
        data = without_cache_paths(data)
    moved = moved_content(path, data, os.fsencode(prefix))
    if moved is not None:
        mode = 0o755 if status.st_mode & 0o100 else 0o644
        tar.add_file(path, moved, mode=mode, mtime=0 if is_meta else int(status.st_mtime))


def _link_target(prefix: Path, link: Path) -> str:
    target = str(link.readlink())
    root = str(prefix)
    return IMAGE_PREFIX + target[len(root) :] if target == root or target.startswith(f"{root}/") else target


def moved_content(path: str, data: bytes, prefix: bytes) -> bytes | None:
    """The content of an environment's own file with the image's prefix in place of the server's.

    None where it is better left out: compiled Python that would be stale.
    """
    if prefix not in data:
        return data
    if path.endswith(".pyc"):
        return relocate_compiled(data, prefix)
    target = IMAGE_PREFIX.encode()
    if b"\0" not in data:
        return data.replace(prefix, target)
    if len(prefix) < len(target):
        return data
    pieces = []
    position = 0
    while (start := data.find(prefix, position)) >= 0:
        end = data.find(b"\0", start)
        end = len(data) if end < 0 else end
        string = data[start:end]
        pieces += [data[position:start], string.replace(prefix, target).ljust(len(string), b"\0")]
        position = end
    return b"".join([*pieces, data[position:]])
