"""An environment's archive onto the disk, without trust in what the archive says about paths."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path, PurePosixPath
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
        with _decompressed(archive) as stream, tarfile.open(fileobj=stream, mode="r|", bufsize=_PIECE) as members:
            for member in members:
                unpacker.take(members, member)
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
    def __init__(self, directory: Path) -> None:
        self.count = 0
        self._root = directory
        self._directories = {PurePosixPath(".")}
        self._links: set[PurePosixPath] = set()

    def take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = self._checked(member.name)
        self.count += 1
        if member.isdir():
            self._make_directory(path)
            return
        self._make_directory(path.parent)
        target = self._root / path
        try:
            if member.isreg():
                self._write(archive, member, target)
            elif member.issym():
                target.symlink_to(member.linkname)
                self._links.add(path)
            elif member.islnk():
                os.link(self._root / self._checked(member.linkname), target, follow_symlinks=False)
            else:
                raise _refused(f"{member.name!r} is neither file, directory nor link")
        except FileExistsError:
            raise _refused(f"{member.name!r} is in it twice") from None

    def _checked(self, name: str) -> PurePosixPath:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise _refused(f"{name!r} would be outside of the environment")
        for ancestor in (path, *path.parents):
            if ancestor in self._links:
                raise _refused(f"{name!r} would be written through the link {str(ancestor)!r}")
        return path

    def _make_directory(self, path: PurePosixPath) -> None:
        if path in self._directories:
            return
        try:
            (self._root / path).mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise _refused(f"{str(path)!r} is in it as directory and as file") from None
        self._directories.add(path)

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
        source = archive.extractfile(member)
        if source is None:
            raise _refused(f"{member.name!r} has no content")
        descriptor = os.open(target, _NEW_FILE, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            while piece := source.read(_PIECE):
                file.write(piece)
            # the owner keeps access, as conda-unpack rewrites prefixes
            os.fchmod(descriptor, (member.mode & 0o777) | 0o600)
            # compiled Python files hold the modification time of their source
            os.utime(descriptor, (member.mtime, member.mtime))
