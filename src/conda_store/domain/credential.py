"""Credentials of channels and package indexes: kept sealed, unsealed only to be used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from conda_store.errors import InvalidInput

_HOST = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\]")
_LONGEST = 4096


class CredentialKind(StrEnum):
    """BASIC: user and password. BEARER: a token in a header. PATH: a token in the path (`/t/<token>`)."""

    BASIC = "basic"
    BEARER = "bearer"
    PATH = "path"


def names_of_host(host: str) -> list[str]:
    """Under which names a credential may be for a host: its own, and `*.domain` for each domain around it."""
    labels = host.split(".")
    return [host, *(f"*.{'.'.join(labels[count:])}" for count in range(1, len(labels)))]


@dataclass(frozen=True)
class Credential:
    """What a host is shown. `username` is empty but with BASIC."""

    host: str
    kind: CredentialKind
    secret: str = field(repr=False)
    username: str = ""

    def rattler_entry(self) -> dict[str, Any]:
        """As it stands in rattler's authentication file."""
        if self.kind is CredentialKind.BASIC:
            return {"BasicHTTP": {"username": self.username, "password": self.secret}}
        return {"BearerToken" if self.kind is CredentialKind.BEARER else "CondaToken": self.secret}


@dataclass(frozen=True)
class Credentials:
    """What may be used for one build. `identity` tells two sets apart without telling anything of what is in them."""

    entries: tuple[Credential, ...] = field(default=(), repr=False)
    identity: str = ""

    def __bool__(self) -> bool:
        return bool(self.entries)

    def rattler_entries(self) -> dict[str, Any]:
        return {entry.host: entry.rattler_entry() for entry in self.entries}

    def netrc(self) -> str:
        """For uv, which knows only users with passwords."""
        return "".join(
            f"machine {entry.host}\nlogin {entry.username}\npassword {entry.secret}\n"
            for entry in self.entries
            if entry.kind is CredentialKind.BASIC and not entry.host.startswith("*")
        )


NO_CREDENTIALS = Credentials()


@dataclass(frozen=True)
class CredentialNote:
    """That there is a credential: all that is ever shown of one. `namespace` None: usable in all."""

    host: str
    namespace: str | None
    kind: CredentialKind
    set_by: str
    set_on: datetime


def checked_credential(values: Mapping[str, Any]) -> Credential:
    """A credential from what somebody sends; errors repeat nothing of it but the host.

    Raises:
        InvalidInput: no host, an unknown kind, or no secret that could be sent to a host.
    """
    host = str(values.get("host", "")).strip().lower()
    if not _HOST.fullmatch(host):
        raise InvalidInput(
            f"{host[:100]!r} is no host", hint="Name it without scheme, port and path, such as packages.example.org."
        )
    try:
        kind = CredentialKind(values.get("kind", CredentialKind.BASIC))
    except ValueError:
        raise InvalidInput(
            "this kind of credential is not known", hint=f"Kinds are {', '.join(CredentialKind)}."
        ) from None
    username, secret = values.get("username") or "", values.get("secret")
    for name, text in (("username", username), ("secret", secret)):
        if not isinstance(text, str) or len(text) > _LONGEST or not text.isprintable() or " " in text:
            raise InvalidInput(f"the {name} for {host} is not text without spaces that can be sent to a host")
    if not secret or (kind is CredentialKind.BASIC and not username):
        raise InvalidInput(
            f"something is missing in the credential for {host}",
            hint="A secret is needed, and with the kind basic a username.",
        )
    return Credential(host, kind, str(secret), username if kind is CredentialKind.BASIC else "")
