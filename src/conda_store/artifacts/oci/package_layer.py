"""The layer of one package, or of several small ones: a deterministic tar of what they put into an image.

Everything belongs to 0:0, files are 0644 or 0755, and keep the modification time that they have in the package, since
compiled Python names it; a second more where the prefix was written into them. Directories and symlinks are of 1970.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from conda_store.artifacts.oci.layer_stream import LayerStream, WrittenLayer
from conda_store.artifacts.oci.package_files import (
    EntryPoint,
    PackageFile,
    PackageFiles,
    is_executable,
    read_package,
    rewritten,
    sha256_of,
)
from conda_store.artifacts.tar_members import TarStream
from conda_store.domain.image import IMAGE_PREFIX, Activation, ImagePython, LayerPlan, path_marks
from conda_store.domain.lock import CondaPackage
from conda_store.errors import ArtifactFailed

_ROOT = IMAGE_PREFIX.strip("/")


class ImageTar:
    """Members below the image's prefix; directories come before what is in them, nothing comes twice."""

    def __init__(self, stream: LayerStream) -> None:
        self._tar = TarStream(stream)
        self._known: set[str] = set()

    def add_file(self, path: str, data: bytes, *, mode: int, mtime: int) -> None:
        if place := self._placed(path):
            self._tar.add_bytes(place, data, mode=mode, mtime=mtime)

    def add_symlink(self, path: str, target: str) -> None:
        if place := self._placed(path):
            self._tar.add_symlink(place, target, mtime=0)

    def add_open_file(self, path: str, descriptor: int, *, size: int, mode: int, mtime: int) -> bool:
        """False when the file was shorter than `size`."""
        place = self._placed(path)
        return place is None or self._tar.add_open_file(place, descriptor, size=size, mode=mode, mtime=mtime)

    def add_directory(self, path: str) -> None:
        """The directory itself; `path` is relative to the prefix, "" for the prefix."""
        self._directories(f"{_ROOT}/{path}" if path else _ROOT)

    def end(self) -> None:
        self._tar.end()

    def _placed(self, path: str) -> str | None:
        place = f"{_ROOT}/{path}"
        if place in self._known:
            return None
        folder = place.rpartition("/")[0]
        if folder not in self._known:
            self._directories(folder)
        self._known.add(place)
        return place

    def _directories(self, path: str) -> None:
        if path and path not in self._known:
            self._directories(path.rpartition("/")[0])
            self._known.add(path)
            self._tar.add_directory(path, mtime=0)


class PackageLayer(NamedTuple):
    """A layer that was written, and what is to be known of its packages without them (see `domain.image.Layer`)."""

    written: WrittenLayer
    activation: Activation
    path_marks: bytes


def write_package_layer(
    plan: LayerPlan, directories: Mapping[str, Path], python: ImagePython | None, destination: BinaryIO
) -> PackageLayer:
    """The layer of the plan's packages; `directories` are the extracted packages by name.

    Raises:
        ArtifactFailed: a package is damaged.
    """
    stream = LayerStream(destination)
    tar = ImageTar(stream)
    tar.add_directory("")
    activation = Activation()
    marks = []
    for package in plan.packages:
        directory = directories[package.name]
        files = read_package(directory, python)
        _Writer(tar, directory, python).add(package, files)
        activation += files.activation(directory)
        marks.append(path_marks(files.paths))
    tar.end()
    return PackageLayer(stream.finish(), activation, b"".join(marks))


class _Writer:
    """Writes one package."""

    def __init__(self, tar: ImageTar, directory: Path, python: ImagePython | None) -> None:
        self._tar = tar
        self._root = str(directory)
        self._python = python
        self._paths: list[dict[str, Any]] = []

    def add(self, package: CondaPackage, files: PackageFiles) -> None:
        for entry_point in files.entry_points:
            self._add_entry_point(entry_point)
        for file in files.files:
            try:
                self._add(file)
            except OSError as error:
                raise ArtifactFailed(f"file {file.source!r} of {package.file_name} cannot be read: {error}") from error
        record = f"conda-meta/{package.name}-{package.version}-{package.build}.json"
        paths = sorted(self._paths, key=lambda entry: str(entry["_path"]))
        # indenting would take longer than reading the package
        text = json.dumps(package_record(package, paths), ensure_ascii=False, separators=(",", ":"))
        self._tar.add_file(record, text.encode(), mode=0o644, mtime=0)

    def _add(self, file: PackageFile) -> None:
        source = f"{self._root}/{file.source}"
        self._paths.append(file.entry)
        if file.is_symlink:
            self._tar.add_symlink(file.path, os.readlink(source))  # noqa: PTH115 - a thousand of them
            return
        # what is a link, and not told to be one, could bring any file of this machine
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            status = os.fstat(descriptor)
            mode = 0o755 if is_executable(status.st_mode) else 0o644
            mtime = int(status.st_mtime)
            if file.placeholder is None:
                if not self._tar.add_open_file(file.path, descriptor, size=status.st_size, mode=mode, mtime=mtime):
                    raise ArtifactFailed(f"file {file.source!r} changed while it was read")
                return
            with os.fdopen(os.dup(descriptor), "rb") as opened:
                data = rewritten(opened.read(), file.placeholder, is_text=file.is_text)
            file.entry["sha256_in_prefix"] = sha256_of(data)
            self._tar.add_file(file.path, data, mode=mode, mtime=mtime + 1)
        finally:
            os.close(descriptor)

    def _add_entry_point(self, entry_point: EntryPoint) -> None:
        assert self._python is not None
        script = entry_point.script(self._python)
        self._tar.add_file(entry_point.path, script, mode=0o755, mtime=0)
        self._paths.append(
            {
                "_path": entry_point.path,
                "path_type": "unix_python_entry_point",
                "sha256": sha256_of(script),
                "size_in_bytes": len(script),
            }
        )


def package_record(package: CondaPackage, paths: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The package's file in `conda-meta` (CEP 34), without anything of the machine where the image is made."""
    optional = {
        "constrains": list(package.constrains),
        "license": package.license,
        "license_family": package.license_family,
        "md5": package.md5,
        "noarch": package.noarch,
        "python_site_packages_path": package.python_site_packages_path,
        "sha256": package.sha256,
        "size": package.size,
        "timestamp": package.timestamp,
        "track_features": " ".join(package.track_features),
    }
    return {
        "build": package.build,
        "build_number": package.build_number,
        "depends": list(package.depends),
        "name": package.name,
        "subdir": package.subdir,
        "version": package.version,
        **{name: value for name, value in optional.items() if value},
        "fn": package.file_name,
        "url": package.url,
        "channel": package.channel,
        "requested_specs": [],
        "files": [entry["_path"] for entry in paths],
        "paths_data": {"paths_version": 1, "paths": list(paths)},
        "link": {"source": "", "type": 1},
    }
