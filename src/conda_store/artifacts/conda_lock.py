"""The lockfile: a document in conda-lock's v1 format, as JSON (which YAML readers take as well).

The format is that of conda-lock's `lockfile.v1.models`. A lock that was handed in as such a document is given
back as it came.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from conda_store.domain.lock import CondaPackage, Lock, PlatformLock, PyPIPackage

# a channel before the name is left out: which one it was, the URL says
_MATCH_SPEC = re.compile(r"(?:\S*::)?([A-Za-z0-9_.\-]+)\s*(.*)", re.DOTALL)
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)")


def render(lock: Lock, specification_sha256: str) -> bytes:
    """The document as JSON with an indent of four, in UTF-8."""
    return json.dumps(document(lock, specification_sha256), indent=4).encode()


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
    names = {_normalized(package.name) for package in lock.pypi}
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
        if match is not None and _normalized(match[1]) in locked:
            dependencies[_normalized(match[1])] = match[2].strip() or "*"
    return dict(sorted(dependencies.items()))


def _normalized(name: str) -> str:
    """As distributions are compared by PyPA's rules."""
    return re.sub(r"[-_.]+", "-", name).lower()
