"""Who did what to which object: noted where it is permitted or refused, written down by whoever commits.

A request has a trail. What is permitted is noted on it, and written in the transaction that changes something; where
nothing is changed it is dropped with the trail. Refusals are written when the request ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime

# what is noted besides permissions
OTHER_ACTIONS = (
    "audit::forget",
    "build::purge",
    "environment::purge",
    "layers::sweep",
    "log-in",
    "log-out",
    "namespace::purge",
    "program::allow",
    "program::deny",
    "token::create",
    "token::revoke",
)


@dataclass(frozen=True)
class AuditEntry:
    """`action` is a permission, or a word for what needs none. `token` tells which token was used."""

    actor: str
    action: str
    namespace: str | None
    environment: str | None
    is_allowed: bool
    detail: str = ""
    token: str = ""
    address: str = ""
    request_id: str = ""


@dataclass(frozen=True)
class AuditRecord:
    id: int
    moment: datetime
    entry: AuditEntry


@dataclass(frozen=True)
class AuditFilter:
    """None: any. `since` and `until` are aware; `until` is not included."""

    actor: str | None = None
    action: str | None = None
    namespace: str | None = None
    is_allowed: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    environment: str | None = None


@dataclass
class Trail:
    """What a request has been permitted and refused so far."""

    address: str = ""
    request_id: str = ""
    allowed: list[AuditEntry] = field(default_factory=list)
    refused: list[AuditEntry] = field(default_factory=list)

    def take_allowed(self) -> list[AuditEntry]:
        taken, self.allowed = self.allowed, []
        return taken


_trail: ContextVar[Trail | None] = ContextVar("audit_trail", default=None)


def current_trail() -> Trail | None:
    return _trail.get()


@contextmanager
def on_trail(trail: Trail) -> Iterator[Trail]:
    """What is noted inside is noted on this trail."""
    token = _trail.set(trail)
    try:
        yield trail
    finally:
        _trail.reset(token)


def note(
    actor: str,
    action: str,
    namespace: str | None = None,
    environment: str | None = None,
    *,
    is_allowed: bool = True,
    detail: str = "",
    token: str = "",
) -> None:
    """Note an action; without a trail, as with what the service does by itself, nothing happens."""
    trail = _trail.get()
    if trail is not None:
        entry = AuditEntry(
            actor, action, namespace, environment, is_allowed, detail, token, trail.address, trail.request_id
        )
        (trail.allowed if is_allowed else trail.refused).append(entry)


def about(detail: str, environment: str | None = None) -> None:
    """What the action that was noted last is about, such as `build 7`; where there is one on `environment`, that."""
    trail = _trail.get()
    if trail is not None and trail.allowed:
        named = [index for index, entry in enumerate(trail.allowed) if entry.environment == environment]
        index = named[-1] if environment is not None and named else -1
        trail.allowed[index] = replace(trail.allowed[index], detail=detail)
