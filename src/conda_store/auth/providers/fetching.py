"""Questions to whoever vouches for people: bounded in time and size, and never sent on to another address."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from conda_store.domain.addresses import ANY_ADDRESS, AddressPolicy
from conda_store.domain.requests import kept_opener
from conda_store.errors import InvalidInput, NotAuthenticated, Unavailable

_SECONDS = 10.0
_LARGEST = 1 << 20
_PIECE = 1 << 16


def fetch_json(
    method: str,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    token: str | None = None,
    verify: bool = True,
    addresses: AddressPolicy = ANY_ADDRESS,
) -> Any:
    """The JSON that is answered.

    Raises:
        NotAuthenticated: the answer is a refusal: status 4xx.
        Unavailable: no answer, another status, too long, too large, no JSON, or the host lies inside.
    """
    headers = {"Accept": "application/json", "User-Agent": "conda-store"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    where = urlsplit(url).netloc.rpartition("@")[2]
    body = None if form is None else urlencode(form).encode()
    is_secure = urlsplit(url).scheme == "https"
    opener = kept_opener(addresses, is_secure=is_secure, verifies=verify, follows_redirects=False)
    try:
        request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310
        with opener.open(request, timeout=_SECONDS) as answer:
            status, content = answer.status, _read(answer)
    except urllib.error.HTTPError as error:
        error.close()
        if 400 <= error.code < 500:
            raise NotAuthenticated(f"{where} refused with status {error.code}", hint="Log in once more.") from error
        raise _unavailable(where, f"status {error.code}") from error
    except InvalidInput as error:
        raise Unavailable(f"nobody can log in: {error.message}", hint=error.hint) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise _unavailable(where, reason if isinstance(reason, str) else type(reason).__name__) from error
    if status != 200:
        raise _unavailable(where, f"status {status}")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _unavailable(where, "no JSON") from error


def _read(answer: http.client.HTTPResponse) -> bytes:
    deadline, content = time.monotonic() + _SECONDS, b""
    while piece := answer.read1(_PIECE):
        content += piece
        if len(content) > _LARGEST or time.monotonic() > deadline:
            raise OSError("too large, or too slow")
    return content


def _unavailable(where: str, why: str) -> Unavailable:
    return Unavailable(f"{where}, where people log in, does not answer as it should: {why}", hint="Try again later.")
