"""An archive of a finished environment, in the form that conda-pack made known: `.tar.gz`, `bin/activate`,
`bin/deactivate`, and `bin/conda-unpack` which puts in the prefix once it is unpacked.

Files that come from a package cache are copied through; those that are the environment's own are searched for
the prefix, which is taken out (see `relocation`). So an archive does not tell where it was made.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from conda_store.artifacts.block_stream import BlockStream
from conda_store.artifacts.installed_records import PackagedFile, packaged_files, without_cache_paths
from conda_store.artifacts.relocation import (
    OWN_PLACEHOLDER,
    Rewrite,
    Rewritten,
    relocate,
)
from conda_store.artifacts.scripts import (
    LAUNCHER,
    UNPACK_FILES,
    activation_scripts,
    environment_variables,
    unpack_scripts,
)
from conda_store.artifacts.tar_members import TarStream
from conda_store.domain.lock import PlatformLock
from conda_store.errors import ArtifactFailed, DiskFull

# 1980-01-01, the earliest that zip files know: for what has no time of its own
EPOCH = 315_532_800
DEFAULT_LEVEL = 2
# what must not be read whole to be searched
_SEARCHED_IN_PLACE = 8 << 20

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Archive:
    """`size` and `sha256` (hex) of the compressed file, `content_size` of the tar in it; sizes in bytes."""

    size: int
    sha256: str
    content_size: int
    files: int


def write_archive(
    prefix: Path,
    lock: PlatformLock,
    destination: Path | BinaryIO,
    *,
    level: int = DEFAULT_LEVEL,
    on_progress: OnProgress | None = None,
) -> Archive:
    """Pack the environment at `prefix`, which has to lie where it was built.

    A path appears when it is complete; a stream is left open. `on_progress` is called once per MiB with the files
    and bytes packed so far; what it raises ends the packing, and nothing is left at the path. `level` is ISA-L's,
    0 to 3. Memory stays at some 20 MB and the largest file that holds the prefix.

    Raises:
        ArtifactFailed: the environment is incomplete, changed while it was packed, or is one for Windows.
        DiskFull: no room is left at the destination.
    """
    _check(prefix, lock)
    if not isinstance(destination, Path):
        return _Packer(prefix, on_progress).write(destination, level)
    partial = destination.with_name(f".{destination.name}.{os.getpid()}.partial")
    with _removed_on_failure(partial):
        with partial.open("wb") as file:
            archive = _Packer(prefix, on_progress).write(file, level)
        partial.replace(destination)
    return archive


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise DiskFull("no room is left for the archive", hint="Free some space where blobs are stored.") from error
        raise


def _check(prefix: Path, lock: PlatformLock) -> None:
    if lock.platform.is_windows:
        raise ArtifactFailed(
            f"an environment for {lock.platform} cannot be packed here",
            hint="Archives are made of environments for Linux and macOS.",
        )
    try:
        present = {record.name for record in (prefix / "conda-meta").iterdir()}
    except OSError as error:
        raise ArtifactFailed("there is no environment to be packed: it has no conda-meta directory") from error
    for package in lock.conda:
        record = f"{package.name}-{package.version}-{package.build}.json"
        if record not in present:
            raise ArtifactFailed(
                f"the environment is incomplete: package {package.name} {package.version} is missing in it",
                hint="Build it again.",
            )


class _Packer:
    """One pass over a prefix."""

    def __init__(self, prefix: Path, on_progress: OnProgress | None) -> None:
        self._root = str(prefix)
        self._prefix = os.fsencode(prefix)
        self._packaged: dict[str, PackagedFile] = packaged_files(prefix)
        self._activation = activation_scripts(environment_variables(prefix))
        self._rewrites: list[Rewritten] = []
        self._on_progress = on_progress
        self._files = 0

    def write(self, destination: BinaryIO, level: int) -> Archive:
        with BlockStream(destination, level, self._report) as stream:
            tar = TarStream(stream)
            self._add_folder(tar, "")
            self._add_generated(tar)
            tar.end()
            written = stream.finish()
        return Archive(written.size, written.sha256, written.content_size, self._files)

    def _report(self, position: int) -> None:
        if self._on_progress is not None:
            self._on_progress(self._files, position)

    def _add_folder(self, tar: TarStream, folder: str) -> None:
        """Everything in a folder of the prefix (`lib/`, "" for the whole), sorted by name."""
        with os.scandir(f"{self._root}/{folder}") as entries:
            for entry in sorted(entries, key=_name):
                path = folder + entry.name
                if entry.is_symlink():
                    tar.add_symlink(path, self._link_target(path), mtime=EPOCH)
                elif entry.is_dir():
                    tar.add_directory(path, mtime=EPOCH)
                    self._add_folder(tar, path + "/")
                else:
                    self._add_file(tar, path)

    def _link_target(self, path: str) -> str:
        """Links to absolute paths in the prefix become relative ones."""
        link = Path(self._root, path)
        target = str(link.readlink())
        if target == self._root or target.startswith(self._root + "/"):
            return os.path.relpath(target, link.parent)
        return target

    def _add_file(self, tar: TarStream, path: str) -> None:
        try:
            descriptor = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise ArtifactFailed(f"file {path!r} of the environment cannot be read: {error.strerror}") from error
        try:
            status = os.fstat(descriptor)
            if path in UNPACK_FILES or not stat.S_ISREG(status.st_mode):
                return
            # a file with a second name lies in a package cache, where no environment's prefix is known
            if (status.st_nlink == 1 or path in self._packaged) and self._add_own(tar, path, descriptor, status):
                return
            is_whole = tar.add_open_file(
                path, descriptor, size=status.st_size, mode=_mode(status), mtime=int(status.st_mtime)
            )
        finally:
            os.close(descriptor)
        if not is_whole:
            raise ArtifactFailed(f"file {path!r} of the environment changed while it was packed")
        self._files += 1

    def _add_own(self, tar: TarStream, path: str, descriptor: int, status: os.stat_result) -> bool:
        """Add a file that no cache shares, where it has to be changed; False when it can be copied as it is."""
        if path.startswith("conda-meta/") and path.endswith(".json"):
            record = without_cache_paths(_read(descriptor, status.st_size))
            self._add_content(tar, path, record, _mode(status), EPOCH)
            return True
        data = self._content_with_prefix(descriptor, status.st_size)
        if data is None:
            return False
        relocatable = relocate(path, data, self._prefix, self._packaged.get(path))
        if relocatable is not None:
            if relocatable.rewrite is not None:
                self._rewrites.append((relocatable.placeholder, relocatable.rewrite, path))
            self._add_content(tar, path, relocatable.data, _mode(status), int(status.st_mtime))
        return True

    def _content_with_prefix(self, descriptor: int, size: int) -> bytes | None:
        """The content of a file, if the prefix is in it; of large files no copy is made to find out."""
        if size <= _SEARCHED_IN_PLACE:
            data = _read(descriptor, size)
            return data if self._prefix in data else None
        with mmap(descriptor, 0, access=ACCESS_READ) as mapped:
            return mapped[:] if mapped.find(self._prefix) >= 0 else None

    def _add_content(self, tar: TarStream, path: str, data: bytes, mode: int, mtime: int) -> None:
        tar.add_bytes(path, data, mode=mode, mtime=mtime)
        self._files += 1

    def _add_generated(self, tar: TarStream) -> None:
        """The scripts that make an archive usable, unless the environment has its own of that name."""
        for path, script in sorted(self._activation.items()):
            if os.path.lexists(f"{self._root}/{path}"):
                continue
            if OWN_PLACEHOLDER in script:
                self._rewrites.append((OWN_PLACEHOLDER, Rewrite.TEXT, path))
            self._add_content(tar, path, script, 0o644, EPOCH)
        for path, script in sorted(unpack_scripts(self._rewrites).items()):
            self._add_content(tar, path, script, 0o755 if path == LAUNCHER else 0o644, EPOCH)


def _read(descriptor: int, size: int) -> bytes:
    """The file from its beginning; the descriptor's position stays."""
    return os.pread(descriptor, size, 0)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _mode(status: os.stat_result) -> int:
    """Readable for all and writable for the owner, whatever the service's umask is; with setuid and setgid."""
    executable = 0o111 if status.st_mode & 0o100 else 0
    return 0o644 | executable | (status.st_mode & 0o6000)
