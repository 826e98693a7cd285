"""What rattler says when an installation fails, told as an error of ours without credentials."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from pathlib import Path

from conda_store.domain.channel import without_credentials
from conda_store.domain.lock import CondaPackage
from conda_store.errors import BuildFailed, DiskFull, PackageCorrupt, PackageNotFound, PackageUnavailable

# what stands before an @ belongs to it, whatever it is; else a URL ends where quotes or parentheses close
# a scheme is short: without an end, long words would be read once for each of their letters
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,15}://(?:[^\s/]*@)?[^\s'\"<>)]+", re.IGNORECASE)
_CORRUPT = (
    "hash mismatch", "invalid checksum", "data corruption", "invalid zip archive", "failed to unpack", "corrupt",
    "invalid tar", "unexpected end of file", "failed to iterate", "archive header", "unknown frame descriptor",
    "incomplete frame", "bzip2", "failed to fill whole buffer",
)  # fmt: skip
_CUT_OFF = ("end of file before message length", "connection closed before message completed", "connection reset")
_NO_FILE = "The channel no longer has this file: solve again, or correct the lockfile."
_REFUSED = "The channel refuses access: check the credentials that the service is configured with."
_NOT_THERE = {
    "(404 ": _NO_FILE, "(410 ": _NO_FILE, "no such file or directory": _NO_FILE,
    "(401 ": _REFUSED, "(403 ": _REFUSED, "(407 ": _REFUSED,
}  # fmt: skip
_NO_SPACE = ("os error 28)", "os error 122)", "no space left on device", "disk quota exceeded")
_DAMAGED_CACHE = ("no such file or directory", "failed to read 'paths.json'", "failed to read 'index.json'")


class DamagedCache(BuildFailed):
    """A cached package lacks files. The installation drops it and tries again, so nobody else sees this."""

    def __init__(self, message: str, package: CondaPackage | None) -> None:
        super().__init__(message)
        self.package = package


def redacted(text: str) -> str:
    """The text with every URL in it freed of user, password and token."""
    return _URL.sub(lambda match: _safe(match[0]), text)


def _safe(url: str) -> str:
    try:
        return without_credentials(url)
    except ValueError:  # no URL after all, as `http://[` is none
        return f"{url.partition('://')[0]}://…"


def install_failure(text: str, packages: Iterable[CondaPackage], *, cache: Path, prefix: Path) -> BuildFailed:
    """The error for rattler's message; `cache` and `prefix` are named where the disk is full."""
    package = named_package(text, packages)
    lower = _without_names(text, package).lower()
    cause = redacted(text.strip().splitlines()[-1].removeprefix("Caused by: ")) if text.strip() else "unknown cause"
    if says_disk_full(lower):
        return disk_full(cache if "package cache" in lower else prefix)
    if "failed to fetch" in lower or "package cache" in lower:
        return fetch_failure(package, cause, lower)
    if any(mark in lower for mark in _DAMAGED_CACHE):
        return DamagedCache(f"{_shown(package)} is incomplete in the package cache: {cause}", package)
    chain = ": ".join(line.removeprefix("Caused by: ") for line in redacted(text).splitlines())
    return BuildFailed(f"linking failed: {chain}")


def _without_names(text: str, package: CondaPackage | None) -> str:
    """What failed, without what it failed on: bzip2 and corrupt-fonts are names of packages, too."""
    names = (package.file_name, f"{package.name}-{package.version}-{package.build}", package.name) if package else ()
    text = _URL.sub("", text)
    for name in names:
        text = text.replace(name, "")
    return text


def fetch_failure(package: CondaPackage | None, cause: str, text: str) -> BuildFailed:
    """A failure to get a package into the cache: it is corrupt, or it is not to be had."""
    where = f" from {_channel(package)}" if package else ""
    if any(mark in text for mark in _CORRUPT) and not any(mark in text for mark in _CUT_OFF):
        return PackageCorrupt(
            f"{_shown(package)}{where} is corrupt: {cause}",
            hint="The channel, or a proxy before it, delivers another file than its repodata promises.",
        )
    message = f"{_shown(package)} cannot be downloaded{where}: {cause}"
    if hint := next((hint for mark, hint in _NOT_THERE.items() if mark in text), None):
        return PackageNotFound(message, hint=hint)
    return PackageUnavailable(message, hint="The channel may be down or slow; the build is tried again.")


def says_disk_full(text: str) -> bool:
    """Whether a program's words, in lower case, come to that."""
    return any(mark in text for mark in _NO_SPACE)


def is_disk_full(error: OSError) -> bool:
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def disk_full(path: Path) -> DiskFull:
    return DiskFull(
        f"no space left on the disk of {path}",
        hint="Delete builds that are not needed, or give that disk more room; the build is then tried again.",
    )


def named_package(text: str, packages: Iterable[CondaPackage]) -> CondaPackage | None:
    """The package whose file name stands in the text, the longest where several do."""
    found = [package for package in packages if package.file_name in text]
    return max(found, key=lambda package: len(package.file_name), default=None)


def _shown(package: CondaPackage | None) -> str:
    return f"package {package.file_name}" if package else "a package"


def _channel(package: CondaPackage) -> str:
    return without_credentials(package.channel or package.url)
