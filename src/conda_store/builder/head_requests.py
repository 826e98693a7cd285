"""HEAD requests with the standard library: importing an HTTP client would take longer than the request."""

from __future__ import annotations

import asyncio
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from conda_store.domain.addresses import ANY_ADDRESS, AddressPolicy
from conda_store.domain.credential import names_of_host
from conda_store.domain.requests import basic_authorization, kept_opener
from conda_store.errors import AddressRefused, InvalidInput

_NO_HEAD = frozenset({400, 405, 501})


@dataclass(frozen=True)
class Answer:
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]


class RequestFailed(Exception):
    """There was no answer; the text says why in a few words."""


async def head(
    url: str, *, limit: float, entries: Mapping[str, Any] | None = None, addresses: AddressPolicy = ANY_ADDRESS
) -> Answer:
    """The answer to a HEAD request, of GET where the server has no HEAD. `limit` in seconds.

    `entries` are rattler's credentials, by host.

    Raises:
        RequestFailed: there is no answer.
        TimeoutError: it takes longer than `limit`.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Answer] = loop.create_future()

    def settle(answer: Answer | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        elif answer is not None:
            future.set_result(answer)

    def run() -> None:
        answer, failure = None, None
        try:
            answer = _ask(url, limit, entries or {}, addresses)
        except Exception as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, answer, failure)

    # a daemon thread: a server that drips its answer must not hold up the end of the process
    threading.Thread(target=run, name="channel-check", daemon=True).start()
    async with asyncio.timeout(limit):
        return await future


def _ask(url: str, timeout: float, entries: Mapping[str, Any], addresses: AddressPolicy) -> Answer:
    url, authorization = _authorized(url, entries)
    answer = _open(url, "HEAD", timeout, authorization, addresses)
    return _open(url, "GET", timeout, authorization, addresses) if answer.status in _NO_HEAD else answer


def _open(url: str, method: str, timeout: float, authorization: str | None, addresses: AddressPolicy) -> Answer:
    request = urllib.request.Request(url, method=method, headers={"User-Agent": "conda-store", "Accept": "*/*"})  # noqa: S310
    if authorization:
        request.add_unredirected_header("Authorization", authorization)
    try:
        with kept_opener(addresses, is_secure=url.startswith("https:")).open(request, timeout=timeout) as response:
            return Answer(response.status, {name.lower(): value for name, value in response.headers.items()})
    except urllib.error.HTTPError as error:
        error.close()
        return Answer(error.code, {})
    except TimeoutError:
        raise
    except InvalidInput as error:
        raise AddressRefused(error.message, hint=error.hint) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise TimeoutError from error
        raise RequestFailed(_reason(error.reason)) from error
    except (OSError, HTTPException, ValueError) as error:
        raise RequestFailed(_reason(error)) from error


def _authorized(url: str, entries: Mapping[str, Any]) -> tuple[str, str | None]:
    """The URL to ask and the Authorization header: from the URL itself or from rattler's entries."""
    parts = urlsplit(url)
    if parts.username is not None:
        clean = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        return clean, basic_authorization(unquote(parts.username), unquote(parts.password or ""))
    entry = _entry(entries, parts.hostname or "")
    if token := entry.get("BearerToken"):
        return url, f"Bearer {token}"
    if token := entry.get("CondaToken"):
        return urlunsplit(parts._replace(path=f"/t/{quote(str(token))}{parts.path}")), None
    basic = entry.get("BasicHTTP")
    if isinstance(basic, Mapping):
        return url, basic_authorization(str(basic.get("username", "")), str(basic.get("password", "")))
    return url, None


def _entry(entries: Mapping[str, Any], host: str) -> Mapping[str, object]:
    """What there is for a host or, as `*.domain`, for a domain around it."""
    found: object = next((entries[name] for name in names_of_host(host) if name in entries), {})
    return found if isinstance(found, Mapping) else {}


def _reason(error: object) -> str:
    text = str(error)
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if "Name or service not known" in text or "name resolution" in text or "nodename" in text:
        return "its host name is not known"
    if isinstance(error, ssl.SSLError):
        return f"no secure connection: {getattr(error, 'verify_message', '') or error.reason}"
    return text.splitlines()[0] if text else type(error).__name__
