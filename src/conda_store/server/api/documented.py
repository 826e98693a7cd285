"""How routes are described in OpenAPI: which refusals each may answer."""

from __future__ import annotations

from typing import Any

from conda_store.server.api.schemas import Failure

_WHEN = {
    400: "What was handed in cannot be accepted; the message says why.",
    401: "Nobody is logged in.",
    403: "It is there, but this is not permitted.",
    404: "It does not exist, or may not be seen.",
    409: "The present state does not permit it.",
    413: "The body is too large.",
    429: "Too often; try again after the seconds in `Retry-After`.",
    503: "Try again after the seconds in `Retry-After`.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Failure, "description": _WHEN[status]} for status in statuses}


REDIRECT: dict[int | str, dict[str, Any]] = {307: {"description": "Where the file is, below `/storage/`."}}
SUNSET = {"Deprecation": "True", "Sunset": "Mon, 17 Mar 2025 00:00:00 UTC"}
