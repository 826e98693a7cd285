"""Between the lock and a document in conda-lock's version 1 format (its `lockfile.v1.models`).

A lock that was handed in as such a document is given back as it came. Plain Python: no solver is needed for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from conda_store.domain.channel import channel_url
from conda_store.domain.lock import CondaPackage, Lock, PlatformLock, PyPIPackage
from conda_store.domain.names import normalized_distribution
from conda_store.domain.platform import Platform
from conda_store.errors import InvalidSpecification, Problem

ALIAS = "https://conda.anaconda.org"
"""Where a channel's short name in a lock file lies: what conda-lock means by it."""
# a channel before the name is left out: which one it was, the URL says
_MATCH_SPEC = re.compile(r"(?:\S*::)?([A-Za-z0-9_.\-]+)\s*(.*)", re.DOTALL)
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)")


def lock_from_document(document: Mapping[str, Any]) -> Lock:
    """The lock that a document stands for. It is kept in `Lock.document`, to be served as it was handed in.

    The document was checked when it came in (`formats.conda_lock`). What the format does not hold (build number,
    size, timestamp) stays unknown.
    """
    metadata = document["metadata"]
    packages: dict[str, list[Mapping[str, Any]]] = {platform: [] for platform in metadata["platforms"]}
    for package in document["package"]:
        packages.setdefault(package["platform"], []).append(package)
    channels = (channel if isinstance(channel, str) else channel["url"] for channel in metadata["channels"])
    return Lock(
        channels=tuple(channel_url(channel, ALIAS) for channel in channels),
        platforms=tuple(_platform_lock(Platform(platform), items) for platform, items in packages.items()),
        document=document,
    )


def _platform_lock(platform: Platform, packages: Iterable[Mapping[str, Any]]) -> PlatformLock:
    conda = [_conda_package(package) for package in packages if package["manager"] == "conda"]
    pypi = [_pypi_package(package) for package in packages if package["manager"] == "pip"]
    return PlatformLock(
        platform,
        tuple(sorted(conda, key=lambda package: package.name)),
        tuple(sorted(pypi, key=lambda package: package.name)),
    )


def _conda_package(package: Mapping[str, Any]) -> CondaPackage:
    url = package["url"].partition("#")[0]
    base, _, _ = url.rpartition("/")
    channel, _, subdir = base.rpartition("/")
    depends = tuple(f"{name} {constraint}".strip() for name, constraint in package.get("dependencies", {}).items())
    hashes = package["hash"]
    return CondaPackage(
        name=package["name"],
        version=package["version"],
        build=package.get("build") or split_file_name(url)[2],
        subdir=subdir,
        url=url,
        channel=channel,
        md5=_lower(hashes.get("md5")),
        sha256=_lower(hashes.get("sha256")),
        depends=depends,
        noarch=_noarch(subdir, depends),
    )


def _pypi_package(package: Mapping[str, Any]) -> PyPIPackage:
    return PyPIPackage(
        name=package["name"],
        version=package["version"],
        url=package["url"],
        hashes=tuple(f"{kind}:{_lower(digest)}" for kind, digest in sorted(package["hash"].items()) if digest),
        requires=tuple(
            f"{name}{'' if spec == '*' else spec}" for name, spec in package.get("dependencies", {}).items()
        ),
    )


def split_file_name(url: str) -> tuple[str, str, str]:
    """Name, version and build out of the URL of a conda package.

    Raises:
        InvalidSpecification: the file is not named `name-version-build.conda` or `.tar.bz2`.
    """
    file_name = unquote(urlsplit(url).path.rpartition("/")[2])
    stem = file_name.removesuffix(".conda").removesuffix(".tar.bz2")
    parts = stem.rsplit("-", 2)
    if stem == file_name or len(parts) != 3 or not all(parts):
        raise InvalidSpecification(
            (Problem(f"{file_name[:200]!r} is no file of a conda package (name-version-build.conda)", ()),)
        )
    return parts[0], parts[1], parts[2]


def _noarch(subdir: str, depends: Iterable[str]) -> str | None:
    """The format does not say which kind of noarch; a package that needs python is of that kind."""
    if subdir != "noarch":
        return None
    return "python" if any(text.partition(" ")[0] == "python" for text in depends) else "generic"


def _lower(digest: str | None) -> str | None:
    return digest.lower() if digest else None


def document(lock: Lock, specification_sha256: str) -> Mapping[str, Any]:
    """The document. Its content hashes stand for the specification on each platform."""
    if lock.document is not None:
        return lock.document
    return {
        "version": 1,
        "metadata": {
            "content_hash": {
                item.platform.value: _content_hash(specification_sha256, item.platform.value) for item in lock.platforms
            },
            "channels": [{"url": channel, "used_env_vars": []} for channel in lock.channels],
            "platforms": [item.platform.value for item in lock.platforms],
            "sources": ["environment.yaml"],
        },
        "package": [package for item in lock.platforms for package in _packages(item)],
    }


def _content_hash(specification_sha256: str, platform: str) -> str:
    return hashlib.sha256(f"{specification_sha256} {platform}".encode()).hexdigest()


def _packages(lock: PlatformLock) -> Iterable[dict[str, Any]]:
    for package in sorted(lock.conda, key=lambda package: package.name):
        yield _entry(lock, package, "conda", dependencies=_conda_dependencies(package), hashes=_conda_hashes(package))
    names = {normalized_distribution(package.name) for package in lock.pypi}
    for distribution in sorted(lock.pypi, key=lambda package: package.name):
        yield _entry(
            lock,
            distribution,
            "pip",
            dependencies=_pip_dependencies(distribution, names),
            hashes=pip_hashes(distribution),
        )


def _entry(
    lock: PlatformLock,
    package: CondaPackage | PyPIPackage,
    manager: str,
    *,
    dependencies: Mapping[str, str],
    hashes: Mapping[str, str],
) -> dict[str, Any]:
    return {
        "name": package.name,
        "version": package.version,
        "manager": manager,
        "platform": lock.platform.value,
        "dependencies": dependencies,
        "url": package.url,
        "hash": hashes,
        "category": "main",
        "optional": False,
    }


def _conda_hashes(package: CondaPackage) -> dict[str, str]:
    hashes = {"md5": package.md5, "sha256": package.sha256}
    return {algorithm: value for algorithm, value in hashes.items() if value}


def _conda_dependencies(package: CondaPackage) -> dict[str, str]:
    """Name and constraint of each dependency; two constraints on one name are joined."""
    dependencies: dict[str, str] = {}
    for text in package.depends:
        if (match := _MATCH_SPEC.fullmatch(text.strip())) is None:
            continue
        name, constraint = match[1], match[2].strip()
        earlier = dependencies.get(name)
        dependencies[name] = ",".join(part for part in (earlier, constraint) if part)
    return dict(sorted(dependencies.items()))


def pip_hashes(distribution: PyPIPackage) -> dict[str, str]:
    """One digest for each algorithm that the format knows."""
    hashes: dict[str, str] = {}
    for text in distribution.hashes:
        algorithm, _, value = text.partition(":")
        if algorithm in {"md5", "sha256"} and value:
            hashes.setdefault(algorithm, value)
    return hashes


def _pip_dependencies(distribution: PyPIPackage, locked: set[str]) -> dict[str, str]:
    """Only distributions of the lock: others are for markers and extras that do not hold here."""
    dependencies = {}
    for text in distribution.requires:
        match = _REQUIREMENT.match(text.strip())
        if match is not None and normalized_distribution(match[1]) in locked:
            dependencies[normalized_distribution(match[1])] = match[2].strip() or "*"
    return dict(sorted(dependencies.items()))
