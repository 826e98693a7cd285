"""Questions to whoever vouches for people: bounded in time and size, and never sent on to another address."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from conda_store.errors import NotAuthenticated, Unavailable

if TYPE_CHECKING:
    import httpx

_SECONDS = 10.0
_LARGEST = 1 << 20


def fetch_json(
    method: str,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    token: str | None = None,
    verify: bool = True,
) -> Any:
    """The JSON that is answered.

    Raises:
        NotAuthenticated: the answer is a refusal: status 4xx.
        Unavailable: no answer, another status, too long, too large, or no JSON.
    """
    import httpx

    headers = {"Accept": "application/json", "User-Agent": "conda-store"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    where = urlsplit(url).netloc.rpartition("@")[2]
    try:
        with (
            httpx.Client(timeout=_SECONDS, verify=verify, follow_redirects=False, headers=headers) as client,
            client.stream(method, url, data=form) as answer,
        ):
            status, content = answer.status_code, _read(answer)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unavailable(where, type(error).__name__) from error
    if 400 <= status < 500:
        raise NotAuthenticated(f"{where} refused with status {status}", hint="Log in once more.")
    if status != 200:
        raise _unavailable(where, f"status {status}")
    try:
        return httpx.Response(200, content=content).json()
    except (ValueError, RecursionError) as error:
        raise _unavailable(where, "no JSON") from error


def _read(answer: httpx.Response) -> bytes:
    import httpx

    deadline, content = time.monotonic() + _SECONDS, b""
    for piece in answer.iter_bytes():
        content += piece
        if len(content) > _LARGEST or time.monotonic() > deadline:
            raise httpx.ReadError("too large, or too slow")
    return content


def _unavailable(where: str, why: str) -> Unavailable:
    return Unavailable(f"{where}, where people log in, does not answer as it should: {why}", hint="Try again later.")
