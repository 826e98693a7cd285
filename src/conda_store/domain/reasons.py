"""Why a package is in an environment: the shortest way to it from what was asked for."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping

from conda_store.domain.lock import PlatformLock

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
    needs = {package.name: [package_name(text) for text in package.depends] for package in lock.conda}
    needs |= {item.name: [package_name(text) for text in item.requires] for item in lock.pypi if item.name not in needs}
    found: dict[str, tuple[str, ...]] = {
        name: () for name in dict.fromkeys(map(package_name, asked_for)) if name in needs
    }
    waiting = deque(found)
    while waiting:
        name = waiting.popleft()
        for needed in needs[name]:
            if needed in needs and needed not in found:
                found[needed] = (*found[name], name)
                waiting.append(needed)
    return found
