"""How often logins and tokens may be tried."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from conda_store.auth.rate import RateLimit
from conda_store.errors import TooManyRequests


@dataclass(frozen=True)
class Attempts:
    """Logins that fail are counted by address and by name, tokens that are made by whose they are."""

    by_address: RateLimit = field(default_factory=lambda: RateLimit(60, 300))
    by_name: RateLimit = field(default_factory=lambda: RateLimit(20, 300))
    tokens: RateLimit = field(default_factory=lambda: RateLimit(120, 60))
    devices: RateLimit = field(default_factory=lambda: RateLimit(20, 300))

    def check_login(self, request: HTTPConnection, name: str = "") -> None:
        """
        Raises:
            TooManyRequests: logins have failed too often from this address, or under this name.
        """
        wait = max(self.by_address.wait(address_of(request)), self.by_name.wait(name) if name else 0.0)
        if wait:
            raise TooManyRequests("too many logins have failed", hint="Wait a little.", retry_after=int(wait) + 1)

    def note_failed_login(self, request: HTTPConnection, name: str = "") -> None:
        self.by_address.take(address_of(request))
        if name:
            self.by_name.take(name)

    def count_token(self, identity: str) -> None:
        """
        Raises:
            TooManyRequests: too many tokens are being made.
        """
        if wait := self.tokens.take(identity):
            raise TooManyRequests("too many tokens are being made", hint="Wait a little.", retry_after=int(wait) + 1)

    def count_device(self, request: HTTPConnection) -> None:
        """
        Raises:
            TooManyRequests: too many programs ask to be logged in from this address.
        """
        if wait := self.devices.take(address_of(request)):
            raise TooManyRequests("too many logins are asked for", hint="Wait a little.", retry_after=int(wait) + 1)


def address_of(request: HTTPConnection) -> str:
    return request.client.host if request.client else ""
