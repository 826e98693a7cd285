"""Images that are asked for by the names of packages: `conda-store-dynamic/linux-aarch64/python.lt.3.13/numpy`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum

from conda_store.domain.platform import Platform
from conda_store.errors import InvalidInput

NAMESPACE = "conda-store-dynamic"
# so that a tag can say: no package that was made later
_UNTIL = re.compile(r"at-(\d{4}-\d{2}-\d{2})")
_OPERATORS = {".gt.": ">", ".ge.": ">=", ".lt.": "<", ".le.": "<=", ".eq.": "==", ".ne.": "!="}
_LINUX = (Platform.LINUX_64, Platform.LINUX_AARCH64, Platform.LINUX_PPC64LE)


class Audience(StrEnum):
    """Who may have images made of packages that nobody has asked for yet.

    PERMITTED: those who may create environments in the namespace. AUTHENTICATED: everybody with a login or token, too.
    ANYBODY: also without. Whoever may ask may read what others have asked for.
    """

    PERMITTED = "permitted"
    AUTHENTICATED = "authenticated"
    ANYBODY = "anybody"

    def includes(self, *, is_authenticated: bool) -> bool:
        """Whether somebody without a permission of their own belongs to it."""
        return self is Audience.ANYBODY or (self is Audience.AUTHENTICATED and is_authenticated)


@dataclass(frozen=True)
class Wanted:
    """What a name asks for: `environment` is its parts joined, `match_specs` are sorted, `platform` is None for that
    of the server."""

    environment: str
    match_specs: tuple[str, ...]
    platform: Platform | None = None


def is_on_demand(name: str) -> bool:
    return name.startswith(f"{NAMESPACE}/")


def parse_image_name(name: str) -> Wanted:
    """
    Raises:
        InvalidInput: a part of the name is empty, or it names no packages, or a platform that has no images.
    """
    parts = name.split("/")[1:]
    platform = _platform(parts[0]) if parts else None
    packages = parts if platform is None else parts[1:]
    if not packages or not all(packages):
        raise InvalidInput(
            f"the name {name[:200]!r} asks for no packages",
            hint=f"Ask for example for {NAMESPACE}/python.lt.3.13/numpy.",
        )
    return Wanted("-".join(parts), tuple(sorted(_match_spec(part) for part in packages)), platform)


def _platform(part: str) -> Platform | None:
    if part not in set(Platform):
        return None
    platform = Platform(part)
    if platform not in _LINUX:
        raise InvalidInput(f"there are no images for {part}", hint=f"There are for {', '.join(_LINUX)}.")
    return platform


def _match_spec(part: str) -> str:
    for letters, operator in _OPERATORS.items():
        part = part.replace(letters, operator)
    return part


def parse_until(tag: str, today: date | None = None) -> str | None:
    """The day that a tag like `at-2026-01-31` names; None for other tags.

    Raises:
        InvalidInput: there is no such day, or it is not over yet (UTC): what it means would still change.
    """
    match = _UNTIL.fullmatch(tag)
    if match is None:
        return None
    try:
        day = date.fromisoformat(match[1])
    except ValueError:
        raise InvalidInput(f"the tag {tag!r} names no day", hint="A day looks like at-2026-01-31.") from None
    if day >= (today or datetime.now(UTC).date()):
        raise InvalidInput(f"the day of the tag {tag!r} is not over yet", hint="Ask for `latest`.")
    return match[1]
