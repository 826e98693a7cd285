"""How sizes, times, durations and acts are written on pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

from conda_store.domain.roles import Permission

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_TICKED = re.compile("`([^`\n]+)`")
# what the audit log notes: permissions, and acts that need none
ACTS: dict[str, str] = {
    Permission.ENVIRONMENT_CREATE: "create or change an environment",
    Permission.ENVIRONMENT_READ: "see an environment",
    Permission.ENVIRONMENT_UPDATE: "activate, rebuild or describe",
    Permission.ENVIRONMENT_DELETE: "delete an environment",
    Permission.ENVIRONMENT_SOLVE: "try a specification",
    Permission.BUILD_CANCEL: "cancel a build",
    Permission.BUILD_DELETE: "delete a build",
    Permission.NAMESPACE_CREATE: "create a namespace",
    Permission.NAMESPACE_READ: "see a namespace",
    Permission.NAMESPACE_UPDATE: "change a namespace",
    Permission.NAMESPACE_DELETE: "delete a namespace",
    Permission.NAMESPACE_ROLE_MAPPING_CREATE: "give a role",
    Permission.NAMESPACE_ROLE_MAPPING_READ: "see who has which role",
    Permission.NAMESPACE_ROLE_MAPPING_UPDATE: "change a role",
    Permission.NAMESPACE_ROLE_MAPPING_DELETE: "take a role back",
    Permission.SETTING_READ: "see settings",
    Permission.SETTING_UPDATE: "change settings",
    "audit::forget": "forget old entries of this log",
    "build::purge": "clear up after a deleted build",
    "environment::purge": "clear up after a deleted environment",
    "layers::sweep": "remove unused layers of images",
    "namespace::purge": "clear up after a deleted namespace",
    "log-in": "log in",
    "log-out": "log out",
    "program::allow": "let a program in",
    "program::deny": "refuse a program",
    "token::create": "make a token",
    "token::revoke": "revoke a token",
}
_STEPS = ((86400 * 365, "year"), (86400 * 30, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))


def size(count: int | None) -> str:
    """Bytes in binary units: `1.5 GiB`."""
    if count is None:
        return "–"
    value = float(count)
    for unit in _UNITS[:-1]:
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {_UNITS[-1]}"


def age(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago, in the largest unit that fits: `3 days ago`."""
    if moment is None:
        return "–"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for length, name in _STEPS:
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {name}{'s' if number > 1 else ''} ago"
    return "just now"


def duration(start: datetime | None, end: datetime | None) -> str:
    """`under 1 s`, `4.5 s`, `45 s`, `3 min 5 s`, `2 h 10 min`; a dash where it has not begun."""
    if start is None or end is None:
        return "–"
    seconds = max((end - start) / timedelta(seconds=1), 0)
    if seconds < 1:
        return "under 1 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def ticked(text: str) -> Markup:
    """What stands between backticks as code; everything else as it is."""
    return Markup(_TICKED.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704


def cut(text: str, longest: int) -> str:
    """The beginning of a specification that is longer than `longest` characters."""
    left = len(text) - longest
    return f"{text[:longest]}\n# ... and {left} characters more\n" if left > 0 else text


def clock(moment: datetime | None) -> str:
    """`2026-11-21 14:05:09 UTC`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "–"


def act(name: str) -> str:
    """A permission, or what else the audit log notes, in words: `delete an environment`."""
    return ACTS.get(name, name)
