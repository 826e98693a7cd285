"""conda-store's REST API as methods."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from conda_store.client import downloading, following
from conda_store.client.address import path_segment
from conda_store.client.answers import data_of, no_answer
from conda_store.client.models import (
    Build,
    Environment,
    Namespace,
    Package,
    Permissions,
    Row,
    SolvedPackage,
    Token,
    User,
    parsed,
    pip_packages,
)
from conda_store.client.sharing import Shared
from conda_store.client.transport import Parameters, Transport
from conda_store.client.uri import BuildUri, EnvironmentName
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.build import BuildStatus
from conda_store.errors import BuildFailed, InvalidInput, NotFound, ServerError

T = TypeVar("T")

PAGE_SIZE = 100
LONGEST_SOLVE = 900.0
FIRST_POLL = 0.5

# the last part of the path of each artifact that the server may have to make first
ROUTES = {
    ArtifactType.LOCKFILE: "lockfile",
    ArtifactType.YAML: "yaml",
    ArtifactType.CONDA_PACK: "archive",
    ArtifactType.CONSTRUCTOR_INSTALLER: "installer",
}


class Session:
    """All methods raise ServerError where the server refuses, is not reached, or is no conda-store."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.transport.close()

    # --- server, permissions, namespaces ------------------------------------------------------------------------

    def version(self) -> str:
        return parsed(lambda row: str(row["data"]["version"]), self.transport.get("/api/v1/"))

    def permissions(self) -> Permissions:
        return self._one("/api/v1/permission/", Permissions.read)

    def create_token(
        self,
        primary_namespace: str | None = None,
        role_bindings: Mapping[str, Sequence[str]] | None = None,
        expiration: datetime | None = None,
        *,
        name: str = "",
    ) -> str:
        """A new token; what is left out is as for the caller. `expiration` is aware."""
        body: dict[str, Any] = {"name": name} if name else {}
        if primary_namespace is not None:
            body["primary_namespace"] = primary_namespace
        if role_bindings:
            body["role_bindings"] = {entity: list(roles) for entity, roles in role_bindings.items()}
        if expiration is not None:
            body["expiration"] = expiration.isoformat()
        answer = self.transport.change("POST", "/api/v1/token/", body)
        return parsed(lambda row: str(row["data"]["token"]), answer)

    def user(self) -> User:
        return self._one("/api/v1/user/", User.read)

    def tokens(self, *, everybody: bool = False) -> Iterator[Token]:
        return self._pages("/api/v1/token/", {"everybody": "true"} if everybody else {}, Token.read)

    def revoke_token(self, token_id: int) -> None:
        self.transport.change("DELETE", f"/api/v1/token/{token_id}/", is_repeatable=True)

    def end_everything_of(self, user: str) -> None:
        self.transport.change("DELETE", f"/api/v1/user/{path_segment(user)}/token/", is_repeatable=True)

    def namespaces(self) -> Iterator[Namespace]:
        return self._pages("/api/v1/namespace/", {}, Namespace.read)

    def create_namespace(self, namespace: str) -> None:
        self.transport.change("POST", f"/api/v1/namespace/{path_segment(namespace)}/")

    def delete_namespace(self, namespace: str) -> None:
        self.transport.change("DELETE", f"/api/v1/namespace/{path_segment(namespace)}/")

    def policies(self, namespace: str, environment: str | None = None) -> list[dict[str, Any]]:
        """The rules that builds have to keep there: `setting`, `value` and the `layer` that sets it."""
        path = f"/api/v1/namespace/{path_segment(namespace)}"
        if environment is not None:
            path = f"/api/v1/environment/{path_segment(namespace)}/{path_segment(environment)}"
        return parsed(lambda row: list(row["data"]), self.transport.get(f"{path}/policy/"))

    def settings(self, target: Shared | None) -> dict[str, Any]:
        """What is in force for a namespace or an environment; None: for everything."""
        return self._one(_setting_path(target), dict)

    def set_settings(self, target: Shared | None, values: Mapping[str, Any]) -> None:
        self.transport.change("PUT", _setting_path(target), dict(values), is_repeatable=True)

    def unset_settings(self, target: Shared | None, names: Sequence[str]) -> None:
        """Drop what was set there, so that the level above counts."""
        query = "&".join(f"unset={path_segment(name)}" for name in names)
        self.transport.change("PUT", f"{_setting_path(target)}?{query}", {}, is_repeatable=True)

    def credentials(self, namespace: str | None = None) -> list[dict[str, Any]]:
        """Which credentials builds use: `host`, `namespace`, `kind`, `set_by`, `set_on`."""
        return parsed(lambda row: list(row["data"]), self.transport.get(_credential_path(namespace)))

    def set_credential(self, body: Mapping[str, str], namespace: str | None = None) -> None:
        """`body` has host, kind, username and secret."""
        self.transport.change("PUT", _credential_path(namespace), dict(body))

    def delete_credential(self, host: str, namespace: str | None = None) -> None:
        self.transport.change("DELETE", f"{_credential_path(namespace)}?host={path_segment(host)}")

    def seal_anew(self) -> int:
        """Seal all credentials with the server's first key; how many there were."""
        answer = self.transport.change("POST", "/api/v1/credential/seal/")
        return parsed(lambda row: int(row["data"]["count"]), answer)

    def audit(self, filters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Who did what, the newest first. `filters`: actor, action, namespace, allowed, since, until."""
        given = {key: value for key, value in filters.items() if value is not None}
        return self._pages("/api/v1/audit/", given, dict)

    def quotas(self, namespace: str) -> list[dict[str, Any]]:
        """What a namespace may use (`limit`, None for no limit) and what it uses (`used`), by `name`."""
        path = f"/api/v1/namespace/{path_segment(namespace)}/quota/"
        return parsed(lambda row: list(row["data"]), self.transport.get(path))

    # --- environments -------------------------------------------------------------------------------------------

    def environments(
        self,
        *,
        status: str | None = None,
        artifact: str | None = None,
        packages: Sequence[str] = (),
        namespace: str | None = None,
        search: str | None = None,
        with_status: bool = False,
    ) -> Iterator[Environment]:
        """Those that fulfil all conditions; status, artifact and packages are of the current build."""
        others = {"namespace": namespace, "search": search, "with_status": "true" if with_status else None}
        parameters = _filters(status, artifact, packages) | others
        return self._pages("/api/v1/environment/", parameters, Environment.read)

    def environment(self, name: EnvironmentName) -> Environment:
        return self._one(_environment_path(name), Environment.read)

    def create_environment(
        self,
        specification: str,
        *,
        namespace: str | None = None,
        name: str | None = None,
        description: str | None = None,
        format: str | None = None,
        is_lockfile: bool = False,
    ) -> int:
        """Hand in a specification's text; the id of its build. Without a namespace it is the caller's own."""
        body: dict[str, Any] = {"specification": specification, "namespace": namespace}
        optional = {"environment_name": name, "environment_description": description, "format": format}
        body |= {key: value for key, value in optional.items() if value is not None}
        if is_lockfile:
            body["is_lockfile"] = True
        return _build_id(self.transport.change("POST", "/api/v1/specification/", body))

    def activate(self, name: EnvironmentName, build_id: int) -> None:
        self.transport.change("PUT", _environment_path(name), {"build_id": build_id}, is_repeatable=True)

    def describe(self, name: EnvironmentName, description: str) -> None:
        self.transport.change("PUT", _environment_path(name), {"description": description}, is_repeatable=True)

    def delete_environment(self, name: EnvironmentName) -> None:
        self.transport.change("DELETE", _environment_path(name))

    def solve(
        self, channels: Sequence[str], conda: Sequence[str], pip: Sequence[str] = ()
    ) -> tuple[SolvedPackage, ...]:
        """The packages that a specification comes to; nothing is built."""
        parameters: Parameters = {"channel": list(channels), "conda": list(conda), "pip": list(pip)}
        # not tried again: a solve is expensive, and a channel that is away stays away for a while
        response = self.transport.send(
            "GET", "/api/v1/specification/", parameters=parameters, is_repeatable=False, timeout=LONGEST_SOLVE
        )
        answer = data_of(response)
        return parsed(lambda row: tuple(parsed(SolvedPackage.read, item) for item in row["solve"]), answer)

    # --- builds -------------------------------------------------------------------------------------------------

    def builds(
        self,
        *,
        status: str | None = None,
        artifact: str | None = None,
        packages: Sequence[str] = (),
        environment: EnvironmentName | None = None,
    ) -> Iterator[Build]:
        parameters = _filters(status, artifact, packages)
        if environment is not None:
            parameters |= {"namespace": environment.namespace, "name": environment.name}
        return self._pages("/api/v1/build/", parameters, Build.read)

    def build(self, build_id: int) -> Build:
        return self._one(f"/api/v1/build/{build_id}/", Build.read)

    def find_build(self, uri: BuildUri) -> Build:
        """The build that a URI names.

        Raises:
            InvalidInput: the build is another environment's.
            NotFound: the environment has no build.
        """
        if uri.environment is None:
            return self.build(uri.build_id or 0)
        environment = self.environment(uri.environment)
        build_id = uri.build_id if uri.build_id is not None else environment.current_build_id
        if build_id is None:
            raise NotFound(f"environment {uri.environment} has no build")
        build = self.build(build_id)
        if build.environment_id != environment.id:
            raise InvalidInput(f"build {build_id} does not belong to environment {uri.environment}")
        return build

    def packages(self, build_id: int) -> Iterator[Package]:
        return self._pages(f"/api/v1/build/{build_id}/packages/", {}, Package.read)

    def pip_packages(self, build_id: int) -> list[Package]:
        """The pip part of a build's lock, which is not among its `packages`: that for this machine's platform, else for
        the first that it was solved for. None where the build has no lock."""
        try:
            with self.transport.stream(f"/api/v1/build/{build_id}/lockfile/") as response:
                text = b"".join(response.iter_bytes())
        except ServerError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            return []
        except httpx.TransportError as error:
            raise no_answer(error, self.transport.url) from error
        return parsed(lambda lock: pip_packages(json.loads(lock)), text)

    def rebuild(self, build_id: int) -> int:
        """The id of a new build of the same specification."""
        return _build_id(self.transport.change("PUT", f"/api/v1/build/{build_id}/"))

    def cancel(self, build_id: int) -> str:
        """What the server says to it."""
        answer = self.transport.change("PUT", f"/api/v1/build/{build_id}/cancel/", is_repeatable=True)
        return parsed(lambda row: str(row.get("message") or f"build {build_id} canceled"), answer)

    def delete_build(self, build_id: int) -> None:
        self.transport.change("DELETE", f"/api/v1/build/{build_id}/")

    def logs(self, build_id: int) -> Iterator[bytes]:
        """The build's log so far, UTF-8, in pieces."""
        try:
            with self.transport.stream(f"/api/v1/build/{build_id}/logs/") as response:
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise no_answer(error, self.transport.url) from error

    def follow(self, build_id: int, *, logs: bool = True) -> Iterator[following.Event]:
        """Progress and log from the build's beginning to its end, as it happens."""
        return following.follow(self.transport, build_id, logs=logs)

    def wait(
        self,
        build_id: int,
        *,
        timeout: float,
        interval: float,
        artifact: ArtifactType | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Build:
        """Wait until the build is completed and, where one is named, the artifact is there.

        Asks after half a second, then less and less often, at least every `interval` seconds. An artifact that is made
        on request is requested.

        Raises:
            BuildFailed: it failed or was cancelled.
            ServerError: `timeout` seconds passed.
        """
        deadline = clock() + timeout
        pause = min(FIRST_POLL, interval)
        while True:
            build = self.build(build_id)
            if build.status is BuildStatus.FAILED:
                raise BuildFailed(f"Build {build_id} failed", hint=build.status_info)
            if build.status is BuildStatus.CANCELED:
                raise BuildFailed(f"Build {build_id} was canceled")
            if build.status is BuildStatus.COMPLETED:
                if artifact is None or artifact in build.artifacts:
                    return build
                self._request_artifact(build_id, artifact)
            left = deadline - clock()
            if left <= 0:
                raise ServerError(f"Build {build_id} failed to complete in {timeout:g} seconds")
            self.transport.sleep(min(pause, left))
            pause = min(pause * 2, interval)

    def _request_artifact(self, build_id: int, artifact: ArtifactType) -> None:
        """Ask for it, so that it is made where it is made on request; the answer may wait for it, we do not."""
        if artifact not in ROUTES:
            return
        try:
            with self.transport.stream(f"/api/v1/build/{build_id}/{ROUTES[artifact]}/", timeout=1.0):
                pass
        except httpx.ReadTimeout:
            pass
        except ServerError as error:
            # absent so far, or in the making; a conflict says why it cannot be made
            if error.status == 409:
                raise
        except httpx.TransportError as error:
            raise no_answer(error, self.transport.url) from error

    def download(
        self,
        build_id: int,
        artifact: str,
        target: Path,
        *,
        parameters: Parameters | None = None,
        on_progress: downloading.OnProgress = lambda done, total: None,
    ) -> Path:
        """`artifact` is the last part of its route: logs, yaml, lockfile, archive, installer.

        Raises:
            OSError: `target` cannot be written.
        """
        path = f"/api/v1/build/{build_id}/{path_segment(artifact)}/"
        return downloading.download(self.transport, path, target, parameters=parameters, on_progress=on_progress)

    # --- how answers are read -----------------------------------------------------------------------------------

    def _one(self, path: str, read: Callable[[Row], T]) -> T:
        answer = self.transport.get(path)
        return parsed(lambda row: parsed(read, row["data"]), answer)

    def _pages(self, path: str, parameters: Parameters, read: Callable[[Row], T]) -> Iterator[T]:
        """Every row of every page, each page asked for when it is needed."""
        page, seen = 1, 0
        while True:
            answer = self.transport.get(path, {**parameters, "page": page, "size": PAGE_SIZE})
            rows, count = parsed(lambda body: (list(body["data"]), int(body["count"])), answer)
            for row in rows:
                yield parsed(read, row)
            seen += len(rows)
            if not rows or seen >= count:
                return
            page += 1


def _filters(status: str | None, artifact: str | None, packages: Sequence[str]) -> dict[str, Any]:
    return {"status": status, "artifact": artifact, "packages": list(packages)}


def _environment_path(name: EnvironmentName) -> str:
    return f"/api/v1/environment/{path_segment(name.namespace)}/{path_segment(name.name)}/"


def _build_id(answer: Any) -> int:
    return parsed(lambda row: int(row["data"]["build_id"]), answer)


def _setting_path(target: Shared | None) -> str:
    return f"/api/v1/setting/{target.path if target else ''}"


def _credential_path(namespace: str | None) -> str:
    return "/api/v1/credential/" if namespace is None else f"/api/v1/namespace/{path_segment(namespace)}/credential/"
