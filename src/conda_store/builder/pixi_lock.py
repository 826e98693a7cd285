"""`pixi.lock` out of the lock, written by rattler in its present version of the format."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from rattler import LockChannel, LockFile, LockPlatform

from conda_store.builder.guard import described, is_from_rattler
from conda_store.builder.records import install_record
from conda_store.domain.lock import Lock, PyPIPackage
from conda_store.errors import BuildFailed

_PYPI_ENTRY = re.compile(r"^- pypi: (?P<url>\S+)\n  name: .+\n  version: .+\n", re.MULTILINE)


def write_pixi_lock(lock: Lock) -> str:
    """The text of a pixi.lock with one environment, `default`.

    Raises:
        BuildFailed: rattler cannot write it.
    """
    try:
        text = _written(lock)
    except BaseException as error:
        if not is_from_rattler(error):
            raise
        raise BuildFailed(f"The pixi.lock cannot be written: {described(error)}") from error
    packages = {package.url: package for item in lock.platforms for package in item.pypi}
    return _PYPI_ENTRY.sub(lambda match: match[0] + _hash_line(packages.get(match["url"])), text)


def _written(lock: Lock) -> str:
    platforms = {item.platform: LockPlatform(item.platform.value) for item in lock.platforms}
    lock_file = LockFile(list(platforms.values()))
    lock_file.set_channels("default", [LockChannel(f"{url}/") for url in lock.channels])
    for item in lock.platforms:
        for package in item.conda:
            lock_file.add_conda_package("default", platforms[item.platform], install_record(package))
        for distribution in item.pypi:
            lock_file.add_pypi_package(
                "default", platforms[item.platform], distribution.name, distribution.version, distribution.url
            )
    with tempfile.TemporaryDirectory(prefix="conda-store-") as directory:
        path = Path(directory) / "pixi.lock"
        lock_file.to_path(path)
        return path.read_text(encoding="utf-8")


def _hash_line(package: PyPIPackage | None) -> str:
    """rattler's Python interface takes no hash for a distribution; the format has a line for it."""
    digests = [text.partition(":")[2] for text in (package.hashes if package else ()) if text.startswith("sha256:")]
    return f"  sha256: {digests[0]}\n" if digests else ""
