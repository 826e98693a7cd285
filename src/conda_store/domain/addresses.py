"""Which addresses the service may ask on behalf of others: not its own neighbours, unless the operator says so."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

from conda_store.errors import InvalidInput

ALL = "*"
# compatible, translated (RFC 2765), NAT64 (RFC 6052)
_IPV4_AT_THE_END = (IPv6Network("::/96"), IPv6Network("::ffff:0:0:0/96"), IPv6Network("64:ff9b::/96"))


@dataclass(frozen=True)
class AddressPolicy:
    """`allowed_inside` are hosts and networks inside that may be asked nevertheless, and directories of this machine
    that may be read; `*` is all of them."""

    allowed_inside: tuple[str, ...] = (ALL,)

    def permits(self, host: str, address: str) -> bool:
        """Whether an address may be asked that a host name stands for."""
        if ALL in self.allowed_inside or host.lower() in self.allowed_inside:
            return True
        ip = _plain(address)
        return not is_inside(ip) or any(_contains(text, ip) for text in self.allowed_inside)

    def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """The addresses of a host, all of which may be asked: connect to one of them, so that the name cannot stand for
        another a moment later.

        Raises:
            InvalidInput: one of them lies inside.
            OSError: the name is not known.
        """
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        addresses = tuple(dict.fromkeys(str(item[4][0]) for item in found))
        for address in addresses:
            if not self.permits(host, address):
                raise InvalidInput(
                    f"{host} lies inside the network of the service, which is not asked on behalf of others",
                    hint="Whoever runs conda-store can allow it: c.CondaStore.allowed_inside.",
                )
        return addresses

    def require_file(self, path: str) -> None:
        """
        Raises:
            InvalidInput: the file or directory lies in none that may be read on behalf of others.
        """
        real = Path(path).resolve()
        allowed = (Path(text).resolve() for text in self.allowed_inside if text.startswith("/"))
        if ALL not in self.allowed_inside and not any(real.is_relative_to(directory) for directory in allowed):
            raise InvalidInput(
                f"{path[:200]} is a file or directory of the service's machine, which is not read on behalf of others",
                hint="Whoever runs conda-store can allow a directory: c.CondaStore.allowed_inside.",
            )


ANY_ADDRESS = AddressPolicy()


def is_inside(ip: IPv4Address | IPv6Address) -> bool:
    """Private, loopback, link-local and all else that is not of the public internet."""
    return not ip.is_global or ip.is_multicast


def address_problem(text: str) -> str | None:
    """Why it is neither a host nor a network nor a directory; None where it is."""
    if text.startswith("/"):
        return None
    if "/" not in text:
        return None if text and text.isprintable() and " " not in text else f"{text!r} is no host"
    try:
        ip_network(text)
    except ValueError as error:
        return str(error)
    return None


def _plain(address: str) -> IPv4Address | IPv6Address:
    """An IPv4 address in the clothes of an IPv6 one is what it is."""
    ip = ip_address(address.partition("%")[0])
    if not isinstance(ip, IPv6Address) or ip.is_loopback or ip.is_unspecified:
        return ip
    if any(ip in network for network in _IPV4_AT_THE_END):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _contains(text: str, ip: IPv4Address | IPv6Address) -> bool:
    try:
        return ip in ip_network(text)
    except ValueError:
        return False
