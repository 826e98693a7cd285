"""Tokens, and what those who bring one may do."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from conda_store.auth.opaque import digest
from conda_store.domain.access import Origin, RoleBinding, Source, parse_binding
from conda_store.domain.roles import BUILT_IN_ROLES, Roles
from conda_store.errors import ConfigurationError, InvalidInput

_CONFIGURED = Origin(Source.CONFIGURATION)
_FROM_TOKEN = Origin(Source.TOKEN)


@dataclass(frozen=True)
class Grant:
    """What a token stands for. `expires` is aware, None for never."""

    primary_namespace: str = "default"
    bindings: tuple[RoleBinding, ...] = ()
    expires: datetime | None = None
    name: str = ""

    def is_valid(self, now: datetime | None = None) -> bool:
        return self.expires is None or self.expires > (now or datetime.now(UTC))


class Tokens:
    """Tokens that are named in the configuration. Only their digests are kept."""

    def __init__(self, tokens: Mapping[str, Grant]) -> None:
        self._grants = tuple((digest(token), grant) for token, grant in tokens.items())
        self._by_identity = {_identity(known): grant for known, grant in self._grants}

    def find(self, token: str) -> Grant | None:
        """What the token grants; None when it is unknown or has expired. How long that takes tells nothing."""
        wanted = digest(token)
        found: Grant | None = None
        for known, grant in self._grants:
            if hmac.compare_digest(known, wanted):
                found = grant
        return found if found is not None and found.is_valid() else None

    def identity(self, token: str) -> str:
        """Whose tokens are those that are made with this one: its own, as long as it stands in the configuration."""
        return _identity(digest(token))

    def valid(self) -> tuple[Grant, ...]:
        return tuple(grant for _, grant in self._grants if grant.is_valid())

    def of_identity(self, identity: str) -> Grant | None:
        """What the token of an identity grants; None when it is no longer configured, or has expired."""
        found = self._by_identity.get(identity)
        return found if found is not None and found.is_valid() else None


def parsed_bindings(
    bindings: Mapping[str, Iterable[str]], roles: Roles = BUILT_IN_ROLES, origin: Origin = _CONFIGURED
) -> tuple[RoleBinding, ...]:
    """Bindings from a configuration: `{"team-*/*": ["developer"]}`.

    Raises:
        ConfigurationError: an entity or a role is none.
    """
    try:
        return tuple(
            parse_binding(entity, role, roles, origin) for entity, names in bindings.items() for role in sorted(names)
        )
    except InvalidInput as error:
        raise ConfigurationError(f"role bindings: {error.message}", hint=error.hint) from error


def parsed_grant(value: Any, roles: Roles = BUILT_IN_ROLES) -> Grant:
    """A grant from a configuration: a mapping, or an object, with `primary_namespace`, `role_bindings`, `name` and
    `expiration` (or `exp`), all of which may be missing. Times without a zone are UTC.

    Raises:
        ConfigurationError: it cannot be read. The token itself is never named.
    """
    values = value if isinstance(value, Mapping) else vars(value)
    expires = values.get("expiration", values.get("exp"))
    try:
        if isinstance(expires, str):
            expires = datetime.fromisoformat(expires)
        elif isinstance(expires, int | float):
            expires = datetime.fromtimestamp(expires, UTC)
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"expiration of a token: {error}", hint="Write it like 2027-01-31T00:00:00."
        ) from error
    if expires is not None and expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    namespace = values.get("primary_namespace") or "default"
    name = str(values.get("name") or "")
    return Grant(namespace, parsed_bindings(values.get("role_bindings") or {}, roles, _FROM_TOKEN), expires, name)


def _identity(digest: str) -> str:
    return f"token:{digest[:32]}"
