"""Whether the packages of a lock may be had: they may be in the cache because others may have them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from conda_store.builder.authentication import entries
from conda_store.builder.head_requests import RequestFailed, head
from conda_store.builder.options import BuilderOptions
from conda_store.builder.together import together
from conda_store.domain.addresses import AddressPolicy
from conda_store.domain.channel import without_credentials
from conda_store.domain.credential import names_of_host
from conda_store.domain.lock import Lock
from conda_store.errors import AddressRefused, InvalidInput, PackageNotFound, PackageUnavailable

_CLOSED = frozenset({401, 403, 404, 407, 410})
_AT_ONCE = 16


async def require_access(lock: Lock, hosts: frozenset[str], options: BuilderOptions) -> None:
    """Ask each of these hosts, with our credentials, for the packages of a lock that was handed in.

    Raises:
        PackageNotFound: it refuses one to us.
        PackageUnavailable: it does not answer.
    """
    guarded = [url for url in sorted(lock.urls) if not hosts.isdisjoint(names_of_host(urlsplit(url).hostname or ""))]
    known, gate = entries(options), asyncio.Semaphore(_AT_ONCE)
    limit, addresses = options.channel_check_timeout, options.addresses
    await together(_ask(url, known, limit, gate, addresses) for url in guarded)


async def _ask(
    url: str, known: Mapping[str, Any], limit: float, gate: asyncio.Semaphore, addresses: AddressPolicy
) -> None:
    shown = without_credentials(url)
    try:
        async with gate:
            answer = await head(url, limit=limit, entries=known, addresses=addresses)
    except (RequestFailed, TimeoutError) as error:
        raise PackageUnavailable(f"{shown} cannot be asked for", hint="Its host may be down for the moment.") from error
    if answer.status in _CLOSED:
        raise PackageNotFound(
            f"{shown} is refused to this namespace with status {answer.status}",
            hint="Set a credential for its host in the namespace: conda-store credential set.",
        )


async def require_addresses(urls: Iterable[str], options: BuilderOptions) -> None:
    """Whether the hosts of these URLs may be asked on behalf of others, and what they name on this machine be read; for
    programs that ask by themselves.

    Raises:
        AddressRefused: one lies inside.
    """
    hosts: set[tuple[str, int]] = set()
    for url in filter(None, urls):
        parts = urlsplit(url)
        if parts.scheme.removeprefix("git+") in ("", "file"):
            require_file(unquote(parts.path), options)
        elif parts.hostname:
            hosts.add((parts.hostname, parts.port or 443))
    for host, port in sorted(hosts):
        try:
            await asyncio.to_thread(options.addresses.resolve, host, port)
        except InvalidInput as error:
            raise AddressRefused(error.message, hint=error.hint) from error
        except OSError:
            continue  # whoever asks will say so


def require_file(path: str, options: BuilderOptions) -> None:
    """
    Raises:
        AddressRefused: it lies in no directory that may be read on behalf of others.
    """
    try:
        options.addresses.require_file(path)
    except InvalidInput as error:
        raise AddressRefused(error.message, hint=error.hint) from error
