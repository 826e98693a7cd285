"""From our errors to HTTP: one table of statuses, one envelope."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from conda_store import errors
from conda_store.errors import CondaStoreError
from conda_store.server.rendering import JSON, refusal

STATUSES: dict[type[CondaStoreError], int] = {
    errors.CondaStoreError: 500,
    errors.InvalidInput: 400,
    errors.InvalidSpecification: 400,
    errors.PolicyViolation: 400,
    errors.QuotaExceeded: 400,
    errors.TooManyRequests: 429,
    errors.NotAuthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Unavailable: 503,
    errors.DatabaseFull: 503,
    errors.StorageFailed: 503,
    errors.ArtifactFailed: 409,
    errors.ConfigurationError: 500,
    errors.ServerError: 502,
    errors.BuildFailed: 400,
    errors.Unsolvable: 400,
    errors.SolveTimedOut: 400,
    errors.ChannelUnavailable: 503,
    errors.ChannelNotFound: 400,
    errors.AddressRefused: 400,
    errors.PackageUnavailable: 503,
    errors.PackageNotFound: 400,
    errors.PackageCorrupt: 502,
    errors.PrefixTooLong: 400,
    errors.PipFailed: 400,
    errors.LinkScriptFailed: 400,
    errors.BuildTookTooLong: 400,
    errors.DiskFull: 507,
    errors.Interrupted: 503,
}
_RETRY_AFTER = 10
_SHOWN = 200


def status_of(error: CondaStoreError) -> int:
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def retry_after(error: CondaStoreError) -> dict[str, str]:
    """The header that says when to ask again, in seconds."""
    return {"Retry-After": str(getattr(error, "retry_after", _RETRY_AFTER))}


def rendered(error: CondaStoreError) -> JSON:
    """The error as every route of the API answers it."""
    status = status_of(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status in {429, 503}:
        headers = retry_after(error)
    refused = [asdict(item) for item in error.refusals] if isinstance(error, errors.PolicyViolation) else []
    return refusal(status, error.message, hint=error.hint, headers=headers, refused=refused)


def install(app: FastAPI) -> None:
    app.add_exception_handler(CondaStoreError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)


def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, CondaStoreError)
    keep_reason(request, error)
    return rendered(error)


def keep_reason(request: Request, error: CondaStoreError) -> None:
    """Why somebody was refused: the log tells it along with the request (see `request_log`)."""
    if isinstance(error, errors.Forbidden | errors.NotFound) and error.reason:
        request.state.refused_because = error.reason


def _framework(_request: Request, error: Exception) -> Response:
    """404 and 405 of the router keep the framework's own shape; a body that is too large gets ours."""
    assert isinstance(error, HTTPException)
    if error.status_code in {400, 413}:
        return refusal(error.status_code, str(error.detail), headers=error.headers)
    return JSON({"detail": error.detail}, status_code=error.status_code, headers=error.headers)


def _invalid(request: Request, error: Exception) -> Response:
    """The framework's shape, without repeating megabytes of input or what is no text."""
    assert isinstance(error, RequestValidationError)
    is_secret = "/credential/" in request.url.path  # what was sent is not to be repeated
    problems = [_problem(item | {"input": None} if is_secret else item) for item in error.errors()[:100]]
    return JSON({"detail": problems}, status_code=422)


def _problem(item: Any) -> dict[str, Any]:
    shown = {key: item[key] for key in ("type", "loc", "msg") if key in item}
    value = item.get("input")
    if value is None or isinstance(value, bool | int):
        shown["input"] = value if not isinstance(value, int) or value.bit_length() < 64 else str(value)[:_SHOWN]
    else:
        shown["input"] = value[:_SHOWN] if isinstance(value, str) else repr(value)[:_SHOWN]
    return shown
