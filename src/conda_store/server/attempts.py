"""How often logins and tokens may be tried."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address, ip_network

from starlette.requests import HTTPConnection

from conda_store.auth.rate import RateLimit
from conda_store.errors import TooManyRequests

_LONGEST_NAME = 255


class Attempts:
    """Logins that fail are counted by address and by name, tokens that are made by whose they are, and those that only
    the provider can know, and does not, by address. `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.by_address = RateLimit(60, 300, clock=clock)
        self.by_name = RateLimit(20, 300, clock=clock)
        self.tokens = RateLimit(120, 60, clock=clock)
        self.devices = RateLimit(20, 300, clock=clock)
        self.unknown = RateLimit(60, 300, clock=clock)

    def count_login(self, request: HTTPConnection, name: str = "") -> None:
        """Count a login before it is tried, so that many at once are not tried uncounted; see `forgive`.

        Raises:
            TooManyRequests: logins have failed too often from this address, or under this name.
        """
        counted: list[tuple[RateLimit, str]] = []
        for limit, key in self._keys(request, name):
            if wait := limit.take(key):
                _give_back(counted)
                raise TooManyRequests("too many logins have failed", hint="Wait a little.", retry_after=int(wait) + 1)
            counted.append((limit, key))

    def forgive(self, request: HTTPConnection, name: str = "") -> None:
        """The login that was counted has succeeded."""
        _give_back(self._keys(request, name))

    def _keys(self, request: HTTPConnection, name: str) -> list[tuple[RateLimit, str]]:
        by_address = (self.by_address, address_of(request))
        return [by_address, (self.by_name, name[:_LONGEST_NAME])] if name else [by_address]

    def count_token(self, identity: str) -> None:
        """
        Raises:
            TooManyRequests: too many tokens are being made.
        """
        if wait := self.tokens.take(identity):
            raise TooManyRequests("too many tokens are being made", hint="Wait a little.", retry_after=int(wait) + 1)

    def count_unknown(self, request: HTTPConnection) -> None:
        """Count a token before the provider is asked for it, see `forgive_unknown`.

        Raises:
            TooManyRequests: the provider has been asked for too many from this address in vain.
        """
        if wait := self.unknown.take(address_of(request)):
            raise TooManyRequests("too many tokens are not known", hint="Wait a little.", retry_after=int(wait) + 1)

    def forgive_unknown(self, request: HTTPConnection) -> None:
        """The provider knew the token that was counted."""
        self.unknown.give_back(address_of(request))

    def count_device(self, request: HTTPConnection) -> None:
        """
        Raises:
            TooManyRequests: too many programs ask to be logged in from this address.
        """
        if wait := self.devices.take(address_of(request)):
            raise TooManyRequests("too many logins are asked for", hint="Wait a little.", retry_after=int(wait) + 1)


def _give_back(counted: Iterable[tuple[RateLimit, str]]) -> None:
    for limit, key in counted:
        limit.give_back(key)


def address_of(request: HTTPConnection) -> str:
    """Where the request comes from, see `network_of`."""
    return network_of(request.client.host if request.client else "")


def network_of(host: str) -> str:
    """An address; of IPv6 the network, all of whose addresses one machine may have."""
    with suppress(ValueError):
        if (address := ip_address(host)).version == 6 and address.ipv4_mapped is None:
            return str(ip_network((address.packed[:8] + bytes(8), 64)))
    return host
