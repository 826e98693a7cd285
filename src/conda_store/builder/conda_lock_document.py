"""Between the lock and a document in conda-lock's version 1 format. Plain Python: no solver is needed for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from conda_store.domain.channel import channel_url
from conda_store.domain.lock import CondaPackage, Lock, PlatformLock, PyPIPackage
from conda_store.domain.platform import Platform
from conda_store.errors import InvalidSpecification, Problem

ALIAS = "https://conda.anaconda.org"
"""Where a channel's short name in a lock file lies: what conda-lock means by it."""


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


def document_from_lock(lock: Lock) -> dict[str, Any]:
    """A lock as a document; one that was handed in is given back as it is."""
    if lock.document is not None:
        return dict(lock.document)
    return {
        "version": 1,
        "metadata": {
            "content_hash": {item.platform.value: _content_hash(item) for item in lock.platforms},
            "channels": [{"url": channel, "used_env_vars": []} for channel in lock.channels],
            "platforms": [item.platform.value for item in lock.platforms],
            "sources": [],
        },
        "package": [entry for item in lock.platforms for entry in _entries(item)],
    }


def _entries(lock: PlatformLock) -> Iterable[dict[str, Any]]:
    for package in lock.conda:
        yield {
            "name": package.name,
            "version": package.version,
            "manager": "conda",
            "platform": lock.platform.value,
            "dependencies": _dependencies(package.depends),
            "url": package.url,
            "hash": {
                kind: digest
                for kind, digest in (("md5", package.md5), ("sha256", package.sha256))
                if digest is not None
            },
            "category": "main",
            "optional": False,
        }
    for distribution in lock.pypi:
        hashes = dict(text.split(":", 1) for text in distribution.hashes)
        yield {
            "name": distribution.name,
            "version": distribution.version,
            "manager": "pip",
            "platform": lock.platform.value,
            "dependencies": {},
            "url": distribution.url,
            "hash": {kind: hashes[kind] for kind in ("md5", "sha256") if kind in hashes},
            "category": "main",
            "optional": False,
        }


def _dependencies(depends: Iterable[str]) -> dict[str, str]:
    """`name -> constraint`; virtual packages are the platform's, not the lock's."""
    pairs = (text.partition(" ") for text in depends)
    return {name: constraint.strip() for name, _, constraint in pairs if not name.startswith("__")}


def _content_hash(lock: PlatformLock) -> str:
    urls = [package.url for package in lock.conda] + [package.url for package in lock.pypi]
    return hashlib.sha256(json.dumps(urls).encode()).hexdigest()


def _noarch(subdir: str, depends: Iterable[str]) -> str | None:
    """The format does not say which kind of noarch; a package that needs python is of that kind."""
    if subdir != "noarch":
        return None
    return "python" if any(text.partition(" ")[0] == "python" for text in depends) else "generic"


def _lower(digest: str | None) -> str | None:
    return digest.lower() if digest else None
