"""Tokens, and what those who bring one may do."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from conda_store.domain.access import RoleBinding


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
        self._grants = tuple((_digest(token), grant) for token, grant in tokens.items())

    def find(self, token: str) -> Grant | None:
        """What the token grants; None when it is unknown or has expired. How long that takes tells nothing."""
        wanted = _digest(token)
        found: Grant | None = None
        for digest, grant in self._grants:
            if hmac.compare_digest(digest, wanted):
                found = grant
        return found if found is not None and found.is_valid() else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
