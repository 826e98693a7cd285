"""An environment's archive onto the disk, without trust in what the archive says about paths."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import IO, cast

from isal import igzip
from isal.igzip_lib import IsalError

from conda_store.errors import CondaStoreError, ServerError

_PIECE = 1024 * 1024
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def unpack(archive: Path, directory: Path) -> int:
    """Unpack a `.tar.gz` into `directory`, which must not exist; how many members it had.

    Nothing is written outside `directory`: absolute names, `..`, devices and pipes are refused, and so is every member
    that would be written over or through an earlier one's symlink. Symlinks themselves may point anywhere, as they may
    in any environment. Owners are left aside, and of modes all but read, write and execute.

    Raises:
        ServerError: the archive is damaged or holds one of the above; `directory` may then be half filled.
        OSError: it cannot be written.
    """
    directory.mkdir(mode=0o755)
    unpacker = _Unpacker(directory)
    try:
        with _decompressed(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as members:
            for member in members:
                unpacker.take(members, member)
            while stream.read(_PIECE):  # to its end, where the checksum is
                pass
    except (tarfile.TarError, EOFError, IsalError) as error:  # type: ignore[misc]
        raise _refused(f"it is damaged ({error})") from error
    except OSError as error:
        # gzip reports damage as an OSError without number
        if error.errno is None:
            raise _refused(f"it is damaged ({error})") from error
        raise
    return unpacker.count


def _decompressed(archive: Path) -> IO[bytes]:
    return cast(IO[bytes], igzip.IGzipFile(archive, "rb"))  # type: ignore[no-untyped-call]


def _refused(reason: str) -> CondaStoreError:
    return ServerError(f"the archive is not unpacked: {reason}", hint="Try again; else have the build made anew.")


class _Unpacker:
    """Makes every directory itself, one component after the other, so that none of them is a link."""

    def __init__(self, directory: Path) -> None:
        self.count = 0
        self._root = str(directory)
        self._directories = {""}

    def take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = _checked(member.name)
        self.count += 1
        try:
            if member.isdir():
                self._make_directory(name)
                return
            self._make_directory(name.rpartition("/")[0])
            target = f"{self._root}/{name}"
            if member.isreg():
                self._write(archive, member, target)
            elif member.issym():
                Path(target).symlink_to(member.linkname)
            elif member.islnk():
                os.link(self._linked(member), target, follow_symlinks=False)
            else:
                raise _refused(f"{member.name!r} is neither file, directory nor link")
        except FileExistsError:
            raise _refused(f"{member.name!r} is in it twice, or leads through a link or a file") from None

    def _make_directory(self, name: str) -> None:
        if name not in self._directories:
            self._make_directory(name.rpartition("/")[0])
            # fails on everything that is there already: a file, a link, a directory that is not ours
            Path(f"{self._root}/{name}").mkdir(0o755)
            self._directories.add(name)

    def _linked(self, member: tarfile.TarInfo) -> str:
        name = _checked(member.linkname)
        if name.rpartition("/")[0] not in self._directories:
            raise _refused(f"{member.name!r} is a link to {member.linkname!r}, which is not in it")
        return f"{self._root}/{name}"

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, target: str) -> None:
        source = archive.extractfile(member)
        if source is None:
            raise _refused(f"{member.name!r} has no content")
        descriptor = os.open(target, _NEW_FILE, 0o600)
        try:
            while piece := source.read(_PIECE):
                _write_all(descriptor, piece)
            # the owner keeps access, as conda-unpack rewrites prefixes
            os.fchmod(descriptor, (member.mode & 0o777) | 0o600)
            # compiled Python files hold the modification time of their source
            os.utime(descriptor, (member.mtime, member.mtime))
        finally:
            os.close(descriptor)


def _checked(name: str) -> str:
    """The name without empty parts and dots."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise _refused(f"{name!r} would be outside of the environment")
    return "/".join(part for part in parts if part not in {"", "."})


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
