"""Answers in the words of the OCI distribution specification (1.1): headers, and errors by code."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from conda_store.errors import CondaStoreError, Forbidden, InvalidInput, PolicyViolation
from conda_store.server.errors import keep_reason, retry_after, status_of
from conda_store.server.parts import parts_of
from conda_store.server.rendering import JSON

VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
SERVICE = "conda-store"
# what those get as a token who bring no password; it stands for nobody
ANONYMOUS_TOKEN = "anonymous"  # noqa: S105

# code -> status and message of the specification
_CODES: dict[str, tuple[int, str]] = {
    "UNAUTHORIZED": (401, "authentication required"),
    "DENIED": (403, "requested access to the resource is denied"),
    "NAME_UNKNOWN": (404, "repository name not known to registry"),
    "MANIFEST_UNKNOWN": (404, "manifest unknown"),
    "BLOB_UNKNOWN": (404, "blob unknown to registry"),
    "DIGEST_INVALID": (400, "provided digest did not match uploaded content"),
    "NAME_INVALID": (400, "invalid repository name"),
    "PAGINATION_NUMBER_INVALID": (400, "invalid number of results requested"),
    "SIZE_INVALID": (413, "provided length did not match content length"),
    "UNSUPPORTED": (405, "The operation is unsupported"),
    "TOOMANYREQUESTS": (429, "too many requests"),
    "UNAVAILABLE": (503, "service unavailable"),
    "UNKNOWN": (500, "unknown error"),
}


class Refusal(Exception):
    """An error with a code of the specification; `detail` says more about this one."""

    def __init__(self, code: str, detail: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})

    def answer(self) -> Response:
        status, message = _CODES[self.code]
        # clients show the message only
        shown = f"{message}: {self.detail}" if self.detail else message
        content = {"errors": [{"code": self.code, "message": shown, "detail": self.detail or None}]}
        return JSON(content, status_code=status, headers={**VERSION, **self.headers})


def challenge(request: Request, scope: str = "", error: str = "") -> Refusal:
    """401: the client is to get a token from us."""
    host = request.headers.get("host", "localhost")
    parameters = {"realm": f"{request.url.scheme}://{host}/token", "service": SERVICE, "scope": scope, "error": error}
    listed = ",".join(f'{name}="{value}"' for name, value in parameters.items() if value)
    return Refusal("UNAUTHORIZED", headers={"WWW-Authenticate": f"Bearer {listed}"})


def refusal_of(error: CondaStoreError) -> Refusal:
    """Errors of services in the specification's codes."""
    status, detail = status_of(error), error.message
    if status in {429, 503}:
        return Refusal("UNAVAILABLE" if status == 503 else "TOOMANYREQUESTS", detail, headers=retry_after(error))
    if isinstance(error, Forbidden):
        return Refusal("DENIED")
    if isinstance(error, PolicyViolation):
        return Refusal("DENIED", detail)
    if isinstance(error, InvalidInput):
        return Refusal("NAME_INVALID", detail)
    return Refusal("UNKNOWN" if status >= 500 else "MANIFEST_UNKNOWN", detail)


class TokenRoute(APIRoute):
    """A route of the token service: whatever a service raises is answered as the specification wants it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                await self.check(request)
                return await handle(request)
            except Refusal as refusal:
                return refusal.answer()
            except CondaStoreError as error:
                keep_reason(request, error)
                return refusal_of(error).answer()

        return handled

    async def check(self, request: Request) -> None:
        """What is looked at before anything else."""


class _Route(TokenRoute):
    """A route of the registry: besides, no token is let through that is not valid."""

    async def check(self, request: Request) -> None:
        if _brings_token(request):
            await run_in_threadpool(check_token, request)


def _brings_token(request: Request) -> bool:
    header = request.headers.get("authorization", "")
    return bool(header) and header.lower() != f"bearer {ANONYMOUS_TOKEN}"


def check_token(request: Request) -> None:
    """Find out who asks.

    Raises:
        Refusal: the request brings a token or password that is not valid (the token of nobody is).
    """
    authenticator = parts_of(request).authenticator
    if authenticator.known_bearer(request) is None:
        raise challenge(request, error="invalid_token")
    authenticator.actor(request)


def registry_router() -> APIRouter:
    return APIRouter(route_class=_Route, include_in_schema=False)
