"""What a server's refusal, or its silence, means in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from conda_store.client.address import without_credentials
from conda_store.errors import ServerError

_LOG_IN = "Log in with `conda-store login`, or bring a token: --auth token with CONDA_STORE_TOKEN."

_WHO_AM_I = "The token or login may have ended, or lack the role: `conda-store whoami` and `conda-store info` tell."


def data_of(response: httpx.Response) -> Any:
    """The JSON of an accepted answer.

    Raises:
        ServerError: it is no JSON, as with a proxy's own pages.
    """
    try:
        return response.json()
    except ValueError as error:
        raise not_conda_store(response) from error


def not_conda_store(response: httpx.Response) -> ServerError:
    return ServerError(
        f"what answers at {shown(response)} is no conda-store (status {response.status_code})",
        hint="Is the address right, with the server's prefix (--conda-store-url)?",
        status=response.status_code,
    )


def refusal(response: httpx.Response) -> ServerError:
    """The error in an answer of status 400 and above; its body must have been read."""
    status = response.status_code
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, Mapping):
        if status in {502, 503, 504}:
            return ServerError(
                f"the server at {shown(response)} is not ready (status {status})",
                hint="Try again later.",
                status=status,
            )
        if status >= 500:
            return ServerError(
                f"the server failed at {shown(response)} (status {status})",
                hint="The server's own log says why.",
                status=status,
            )
        return not_conda_store(response)
    if isinstance(body.get("message"), str) and body["message"]:
        return ServerError(body["message"], hint=_hint(body, status, response), status=status)
    detail = body.get("detail")
    if isinstance(detail, list):
        return ServerError("\n".join(_problem(item) for item in detail) or "not valid", status=status)
    if status in {404, 405}:
        return ServerError(
            f"there is no {response.request.method} {shown(response)}",
            hint="Is the address right, with the server's prefix, and is the server of this client's version?",
            status=status,
        )
    return ServerError(f"the server answered with status {status}: {str(detail)[:200]}", status=status)


def no_answer(error: httpx.TransportError, url: str) -> ServerError:
    """Why there was no answer, and what to check."""
    address, text = without_credentials(url), str(error)
    if isinstance(error, httpx.ConnectError) and "CERTIFICATE" in text.upper():
        return ServerError(
            f"the certificate of {address} is not trusted: {text}",
            hint="Point SSL_CERT_FILE at the authority's certificate; --no-verify-ssl does without the check.",
        )
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ServerError(
            f"no conda-store can be reached at {address}: {text or 'no answer in time'}",
            hint=(
                "Is it running (`conda-store serve` starts one), and is the address right "
                "(--conda-store-url or CONDA_STORE_URL)?"
            ),
        )
    if isinstance(error, httpx.TimeoutException):
        return ServerError(f"{address} did not answer in time", hint="The server may be busy: try again later.")
    return ServerError(f"the connection to {address} broke: {text or type(error).__name__}", hint="Try again.")


def shown(response: httpx.Response) -> str:
    """The URL without query, which may hold signatures, and without credentials."""
    return without_credentials(str(response.request.url.copy_with(query=None, fragment=None)))


def _hint(body: Mapping[str, Any], status: int, response: httpx.Response) -> str:
    if isinstance(body.get("hint"), str) and body["hint"]:
        return str(body["hint"])
    if status not in {401, 403}:
        return ""
    return _WHO_AM_I if {"authorization", "cookie"} & set(response.request.headers) else _LOG_IN


def _problem(item: Any) -> str:
    if not isinstance(item, Mapping):
        return str(item)
    where = " -> ".join(str(part) for part in item.get("loc", ()))
    return f"{item.get('msg', 'not valid')} ({where})" if where else str(item.get("msg", "not valid"))
