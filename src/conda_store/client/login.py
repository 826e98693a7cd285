"""How a client says who it is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Anonymous:
    pass


@dataclass(frozen=True)
class Token:
    """Sent as bearer token with every request to the server, and to no other."""

    value: str = field(repr=False)


@dataclass(frozen=True)
class Password:
    """Handed to the server's login once; afterwards its cookie tells."""

    username: str
    password: str = field(repr=False)


Login = Anonymous | Token | Password
