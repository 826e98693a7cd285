"""Why a package is in an environment: the shortest way to it from what was asked for."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from conda_store.domain.lock import PlatformLock
from conda_store.domain.names import normalized_distribution

# the name in a match spec or requirement, behind a channel
_NAME = re.compile(r"(?:[^\s\[]*::)?\s*([A-Za-z0-9_][A-Za-z0-9_.\-]*)")


def package_name(requirement: str) -> str:
    """The name in a match spec or in a requirement, in lower case; empty where there is none."""
    match = _NAME.match(requirement)
    return match[1].lower() if match else ""


def reasons(lock: PlatformLock, asked_for: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """For each package the names of those that lead to it, the first of which was asked for.

    Empty for what was asked for itself; packages that nothing leads to are left out.
    """
    requirements: dict[str, tuple[str, ...]] = {item.name: item.requires for item in lock.pypi}
    requirements |= {package.name: package.depends for package in lock.conda}
    distributions = {normalized_distribution(item.name): item.name for item in lock.pypi}

    def named(texts: Iterable[str]) -> Iterator[str]:
        for name in map(package_name, texts):
            found = name if name in requirements else distributions.get(normalized_distribution(name))
            if found is not None:
                yield found

    ways: dict[str, tuple[str, ...]] = dict.fromkeys(named(asked_for), ())
    waiting = deque(ways)
    while waiting:
        name = waiting.popleft()
        for needed in named(requirements[name]):
            if needed not in ways:
                ways[needed] = (*ways[name], name)
                waiting.append(needed)
    return ways
