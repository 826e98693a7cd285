"""`CondaStoreAPI`, for programs that were written for it, such as JupyterHub's spawners and kernel managers.

The methods are coroutines and give plain JSON data. New programs better use `conda_store.client`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, TypeVar

from conda_store.client.opening import Authentication, choose_login
from conda_store.client.session import Session
from conda_store.client.transport import Transport
from conda_store.client.uri import EnvironmentName
from conda_store.errors import ConfigurationError

T = TypeVar("T")


class CondaStoreAPI:
    """An asynchronous context manager; `auth_type` is none, token or basic, secrets come as for the command line.

    `api_token`, `username` and `password` may be given instead of the variables CONDA_STORE_TOKEN, _USERNAME and
    _PASSWORD; `auth` is another word for `auth_type`. All methods raise `conda_store.errors.CondaStoreError`.
    """

    def __init__(self, conda_store_url: str, auth_type: str = "none", verify_ssl: bool = True, **options: Any) -> None:
        auth_type = options.pop("auth", None) or auth_type
        if auth_type not in set(Authentication):
            raise ConfigurationError(
                f"auth_type {auth_type!r} is unknown", hint=f"Choose one of {', '.join(Authentication)}."
            )
        secrets = {
            "CONDA_STORE_TOKEN": options.pop("api_token", None),
            "CONDA_STORE_USERNAME": options.pop("username", None),
            "CONDA_STORE_PASSWORD": options.pop("password", None),
        }
        self._environ = {**os.environ, **{key: value for key, value in secrets.items() if value}}
        self._authentication = Authentication(auth_type)
        self._url = conda_store_url
        self._verify_ssl = verify_ssl
        self._session: Session | None = None

    async def __aenter__(self) -> CondaStoreAPI:
        url, login = choose_login(self._url, self._authentication, self._environ)
        self._session = Session(Transport(url, login, verify_ssl=self._verify_ssl))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.transport.close()
            self._session = None

    async def _do(self, action: Callable[[Session], T]) -> T:
        session = self._session
        if session is None:
            raise RuntimeError("CondaStoreAPI is used inside of `async with`")
        return await asyncio.to_thread(action, session)

    async def get_permissions(self) -> Any:
        return await self._do(lambda session: session.permissions().raw)

    async def create_token(
        self,
        primary_namespace: str | None = None,
        role_bindings: dict[str, list[str]] | None = None,
        expiration: datetime | int | None = None,
    ) -> str:
        """`expiration` is a moment, UTC where it has no zone, or seconds from now."""
        if isinstance(expiration, int):
            expiration = datetime.now(UTC) + timedelta(seconds=expiration)
        elif expiration is not None and expiration.tzinfo is None:
            expiration = expiration.replace(tzinfo=UTC)
        end = expiration
        return await self._do(lambda session: session.create_token(primary_namespace, role_bindings, end))

    async def list_namespaces(self) -> list[Any]:
        return await self._do(lambda session: [namespace.raw for namespace in session.namespaces()])

    async def create_namespace(self, namespace: str) -> None:
        await self._do(lambda session: session.create_namespace(namespace))

    async def delete_namespace(self, namespace: str) -> None:
        await self._do(lambda session: session.delete_namespace(namespace))

    async def list_environments(
        self, status: str | None = None, artifact: str | None = None, packages: Sequence[str] | None = None
    ) -> list[Any]:
        def action(session: Session) -> list[Any]:
            found = session.environments(status=status, artifact=artifact, packages=packages or ())
            return [environment.raw for environment in found]

        return await self._do(action)

    async def create_environment(self, namespace: str, specification: str) -> int:
        """The id of the build."""
        return await self._do(lambda session: session.create_environment(specification, namespace=namespace))

    async def get_environment(self, namespace: str, name: str) -> Any:
        return await self._do(lambda session: session.environment(EnvironmentName(namespace, name)).raw)

    async def delete_environment(self, namespace: str, name: str) -> None:
        await self._do(lambda session: session.delete_environment(EnvironmentName(namespace, name)))

    async def solve_environment(self, channels: list[str], conda: list[str], pip: list[str]) -> list[Any]:
        return await self._do(lambda session: [package.raw for package in session.solve(channels, conda, pip)])

    async def list_builds(
        self, status: str | None = None, artifact: str | None = None, packages: Sequence[str] | None = None
    ) -> list[Any]:
        def action(session: Session) -> list[Any]:
            return [build.raw for build in session.builds(status=status, artifact=artifact, packages=packages or ())]

        return await self._do(action)

    async def get_build(self, build_id: int) -> Any:
        return await self._do(lambda session: session.build(build_id).raw)

    async def download(self, build_id: int, artifact: str) -> bytes:
        """The whole artifact in memory; `conda_store.client` writes to files."""

        def action(session: Session) -> bytes:
            with TemporaryDirectory() as directory:
                return session.download(build_id, artifact, Path(directory) / "artifact").read_bytes()

        return await self._do(action)
