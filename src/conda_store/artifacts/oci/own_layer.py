"""The last layer of an image: what is the environment's own.

Of conda packages alone, that is known beforehand: the history and the variables. Else it is taken from the finished
prefix: the history, the variables, what pip installed, what post-link scripts wrote, and, where packages brought the
same path, the file that the installer let win. The prefix of the server becomes that of the image.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

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
        for path in sorted(own_paths(prefix)):
            _add(tar, prefix, path)
    except OSError as error:
        raise ArtifactFailed(f"the environment cannot be read: {error.strerror}") from error
    return _finished(stream, tar, has_scripts=has_scripts)


def _finished(stream: LayerStream, tar: ImageTar, *, has_scripts: bool) -> WrittenLayer:
    if has_scripts:
        tar.add_file(ENTRYPOINT, _ENTRYPOINT_SCRIPT.encode(), mode=0o755, mtime=0)
    tar.end()
    return stream.finish()


def own_paths(prefix: Path) -> set[str]:
    """The files and links of an environment that are in no package's layer as they are here."""
    packaged: set[str] = set()
    own: set[str] = set()
    records = prefix / "conda-meta"
    if not records.is_dir():
        raise ArtifactFailed("there is no environment: it has no conda-meta directory")
    for record in records.glob("*.json"):
        document = json.loads(record.read_bytes())
        packaged.update(document.get("files", ()))
        originals = [
            item["original_path"] for item in document.get("paths_data", {}).get("paths", ()) if "original_path" in item
        ]
        if originals:
            # the layers hold the records as if nothing had collided
            own.update(originals, [f"conda-meta/{record.name}"])
    for path in _files(prefix):
        is_record = path.startswith("conda-meta/") and path.endswith(".json")
        if not is_record and (path not in packaged or path.startswith(_CLOBBERS)) and not _is_compiled(path, packaged):
            own.add(path)
    return own


def _files(prefix: Path) -> Iterator[str]:
    for directory, folders, names in os.walk(prefix):
        links = [name for name in folders if Path(directory, name).is_symlink()]
        for name in [*names, *links]:
            yield os.path.relpath(f"{directory}/{name}", prefix)


def _is_compiled(path: str, packaged: set[str]) -> bool:
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
