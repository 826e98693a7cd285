"""`pixi.lock`, read by rattler (every version of the format that it knows) and written (in its present one)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rattler import LockChannel, LockFile, LockPlatform, PypiLockedPackage

from conda_store.builder.formats.conda_lock import read_conda_lock
from conda_store.builder.formats.documents import Document
from conda_store.builder.guard import described, is_from_rattler
from conda_store.builder.records import install_record, package_from_record
from conda_store.domain.conda_lock import document as lock_to_document
from conda_store.domain.lock import Lock, PlatformLock, PyPIPackage
from conda_store.domain.platform import Platform
from conda_store.domain.specification import LockfileSpecification
from conda_store.errors import BuildFailed, InvalidSpecification

_PYPI_ENTRY = re.compile(r"^- pypi: (?P<url>\S+)\n  name: .+\n  version: .+\n", re.MULTILINE)


def read_pixi_lock(document: Document, text: str, environment: str, name: str | None) -> LockfileSpecification:
    """The named environment of the lock, in conda-lock's format.

    Raises:
        InvalidSpecification: it is no pixi.lock, or holds what a lock cannot (sources on a disk, unknown platforms).
    """
    if not isinstance(document.value, dict) or "environments" not in document.value:
        raise InvalidSpecification("Unable to parse. Invalid YAML\nA pixi.lock has `version:` and `environments:`")
    with tempfile.TemporaryDirectory(prefix="conda-store-") as directory:
        path = Path(directory) / "pixi.lock"
        path.write_text(text, encoding="utf-8")
        try:
            lock = _lock(LockFile.from_path(path), environment)
        except BaseException as error:
            if not is_from_rattler(error):
                raise
            message = described(error).replace(str(path), "pixi.lock")
            raise InvalidSpecification(f"Unable to read the pixi.lock\n{message}") from error
    return read_conda_lock(lock_to_document(lock, lock.digest), name)


def _lock(lock_file: LockFile, name: str) -> Lock:
    environments = dict(lock_file.environments())
    environment = environments.get(name)
    if environment is None:
        raise InvalidSpecification(
            f"The pixi.lock has no environment {name!r}", hint=f"It has {', '.join(sorted(environments))}."
        )
    conda = environment.conda_repodata_records()
    pypi = environment.pypi_packages()
    platforms = sorted(platform.name for platform in environment.platforms())
    if unknown := set(platforms) - set(Platform):
        raise InvalidSpecification(f"The pixi.lock has the platform {min(unknown)!r}, which is not known here")
    return Lock(
        channels=tuple(str(channel).rstrip("/") for channel in environment.channels()),
        platforms=tuple(
            PlatformLock(
                Platform(platform),
                tuple(
                    sorted((package_from_record(record) for record in conda.get(platform, [])), key=lambda p: p.name)
                ),
                _pypi(pypi.get(platform, [])),
            )
            for platform in platforms
        ),
    )


def _pypi(packages: Iterable[PypiLockedPackage]) -> tuple[PyPIPackage, ...]:
    found = []
    for package in packages:
        location = package.location.partition("#")[0]
        if location.startswith("/"):
            location = Path(location).as_uri()  # what rattler makes of a file:// URL
        if "://" not in location:
            raise InvalidSpecification(
                f"The pixi.lock holds {package.name} out of the directory {package.location!r}",
                hint="Only packages with a URL can be installed on a server.",
            )
        hashes = package.hashes
        digest = hashes.sha256 if hashes else None
        found.append(
            PyPIPackage(
                package.name,
                package.version,
                location,
                (f"sha256:{digest.hex()}",) if digest else (),
                tuple(package.requires_dist),
            )
        )
    return tuple(sorted(found, key=lambda package: package.name))


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
