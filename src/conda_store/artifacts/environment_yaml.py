"""The lock of one platform as a pinned `environment.yaml`: for people, and for tools that read nothing else."""

from __future__ import annotations

import re
from typing import Any

import yaml

from conda_store.domain.lock import Lock, PlatformLock, PyPIPackage
from conda_store.domain.names import normalized_distribution
from conda_store.domain.platform import Platform
from conda_store.domain.specification import AnySpecification, Specification
from conda_store.errors import NotFound

_DIRECT_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*@\s*\S")


def render(lock: Lock, platform: Platform, specification: AnySpecification) -> bytes:
    """Every package as `name=version=build`, the pip part as `name==version`; equal locks give equal text. UTF-8.

    Raises:
        NotFound: the lock has nothing for the platform.
    """
    platform_lock = lock.on(platform)
    if platform_lock is None:
        raise NotFound(f"the lock holds no packages for {platform}")
    variables = specification.variables if isinstance(specification, Specification) else None
    model: dict[str, Any] = {
        "name": specification.name,
        "channels": list(lock.channels),
        "dependencies": _dependencies(lock, platform_lock, specification),
    }
    if variables:
        model["variables"] = dict(sorted(variables.items()))
    return yaml.safe_dump(model, sort_keys=False, allow_unicode=True, width=4096).encode()


def _dependencies(lock: Lock, platform_lock: PlatformLock, specification: AnySpecification) -> list[Any]:
    dependencies: list[Any] = [
        f"{package.name}={package.version}={package.build}"
        for package in sorted(platform_lock.conda, key=lambda package: package.name)
    ]
    if platform_lock.pypi:
        direct = _direct_names(specification)
        pins = [_pin(package, direct) for package in sorted(platform_lock.pypi, key=lambda package: package.name)]
        dependencies.append({"pip": [*lock.pip_options, *pins]})
    return dependencies


def _pin(package: PyPIPackage, direct: set[str]) -> str:
    """By version; what was asked for by URL, or comes out of version control, by URL."""
    if package.name in direct or package.url.startswith(("git+", "hg+", "svn+", "bzr+")):
        return f"{package.name} @ {package.url}"
    return f"{package.name}=={package.version}"


def _direct_names(specification: AnySpecification) -> set[str]:
    if not isinstance(specification, Specification):
        return set()
    matches = map(_DIRECT_REQUIREMENT.match, specification.pip_requirements)
    return {normalized_distribution(match[1]) for match in matches if match}
