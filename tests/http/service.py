"""A whole service in this process: a real server on loopback, a database in a directory, a builder without packages."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import uvicorn
from sqlalchemy import select

from conda_store.auth.sealing import Sealer, new_key
from conda_store.builder.fake import FakeBuilder
from conda_store.builder.package_index.model import IndexedChannel, PackagePage, PackageQuery, PackageRow
from conda_store.db import leases, migrate
from conda_store.db.engine import Database
from conda_store.db.tables import build
from conda_store.domain.access import SYSTEM
from conda_store.domain.deployment import Deployment
from conda_store.domain.settings import Settings
from conda_store.errors import Conflict
from conda_store.server.app import create_app
from conda_store.server.ending import Server
from conda_store.server.options import ServerOptions
from conda_store.server.sending import FileSendingProtocol
from conda_store.services import namespaces, specifications
from conda_store.services.context import Context
from conda_store.services.run_build import run_build
from conda_store.services.specifications import Submission
from conda_store.storage import BlobStore, local_blobs
from tests.queueing import pack
from tests.waiting import PATIENCE, wait_for

TOKENS = {
    "admin": {"primary_namespace": "default", "role_bindings": {"*/*": ["admin"]}},
    "owner": {"primary_namespace": "team", "role_bindings": {"team/*": ["admin"]}},
    "developer": {"primary_namespace": "team", "role_bindings": {"team/*": ["developer"]}},
    "viewer": {"primary_namespace": "team", "role_bindings": {"team/*": ["viewer"]}},
    "stranger": {"primary_namespace": "elsewhere", "role_bindings": {"elsewhere/*": ["admin"]}},
}


class Channel:
    """A package index with a few packages; keeps the last question."""

    rows = tuple(
        PackageRow(number, "https://conda.example/forge", "zlib", f"1.{number}", "Zlib", "compression")
        for number in range(1, 4)
    )

    def __init__(self) -> None:
        self.asked: PackageQuery | None = None

    def search(self, query: PackageQuery) -> PackagePage:
        self.asked = query
        return PackagePage(self.rows[: query.size], len(self.rows))

    async def refresh(self, channels: Sequence[str], platforms: Sequence[str]) -> Sequence[IndexedChannel]:
        return ()

    def channels(self) -> Sequence[IndexedChannel]:
        return ()


class Service:
    _keys = staticmethod(lambda: [new_key()])

    """`deployment` are fields of the `Deployment`, the other options those of `ServerOptions`."""

    def __init__(
        self,
        directory: Path,
        deployment: Mapping[str, Any] | None = None,
        blobs: BlobStore | None = None,
        **options: Any,
    ) -> None:
        database = Database(f"sqlite:///{directory}/conda-store.sqlite")
        migrate.upgrade(database)
        self.builder = FakeBuilder()
        self.channel = Channel()
        # as short as the temporary directories of tests permit: prefixes must not get longer than 255 characters
        settings = Settings(storage_threshold=0, conda_indexed_channels=("https://conda.example/forge",))
        decided = Deployment(directory / "envs", settings=settings, **(deployment or {}))
        self.context = Context(
            database, blobs or local_blobs(directory / "blobs"), self.builder, self.channel, decided, Sealer(self._keys)
        )
        given: dict[str, Any] = {
            "tokens": TOKENS,
            "unauthenticated_role_bindings": {"default/*": ["viewer"]},
            "authenticated_role_bindings": {"default/*": ["viewer"]},
        }
        self.options = ServerOptions.of(**(given | options))
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.url = f"http://localhost:{self.port}{self.options.prefix}"
        # however long a test takes, no try of a limited number comes back
        self.app = create_app(self.context, self.options, clock=lambda: 0.0)
        config = uvicorn.Config(
            self.app,
            http=FileSendingProtocol,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        self._server = Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)

    def __enter__(self) -> Service:
        self._thread.start()
        wait_for("the server's start", lambda: self._server.started)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def waiting_requests(self) -> int:
        """How many requests have not been answered yet."""
        return len(self._server.server_state.tasks)

    def waiting_for_making(self) -> int:
        """How many of them have asked for something to be made, and wait for it."""
        waiting: int = self.app.state.parts.looks.waiting
        return waiting

    def build_ids(self) -> list[int]:
        with self.context.database.read() as connection:
            return list(connection.execute(select(build.c.id).order_by(build.c.id)).scalars())

    def client(self, token: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}{self.options.prefix}", headers=headers, timeout=PATIENCE
        )

    def submit(self, namespace: str, name: str, *packages: str, **others: Any) -> int:
        """Queue a build of an environment; its id."""
        lines = [f"name: {name}", "channels: [forge]", "dependencies:", *(f"  - {item}" for item in packages)]
        lines += [f"{key}: {value}" for key, value in others.items()]
        text = "\n".join(lines if packages else lines[:2]).encode()
        return specifications.submit(self.context, SYSTEM, Submission(text, namespace, environment_name=name))

    def work(self) -> int | None:
        """Do what a worker does with the next build; its id."""
        with self.context.database.write() as connection:
            lease = leases.claim(connection, "worker-1", self.context.deployment.lease)
        if lease is None:
            return None
        asyncio.run(run_build(self.context, lease))
        return lease.build_id

    def build(self, namespace: str, name: str, *packages: str) -> int:
        """An environment with a build that has ended."""
        build_id = self.submit(namespace, name, *packages)
        while self.work() not in {build_id, None}:
            pass
        return build_id

    def pack(self) -> int:
        """Make the artifacts that have been asked for; how many there were."""
        return pack(self.context)

    def make_namespaces(self, *names: str) -> None:
        """Those that are not there yet."""
        for name in names:
            with suppress(Conflict):
                namespaces.create_namespace(self.context, SYSTEM, name)


def data(response: httpx.Response) -> Any:
    """The data of an answer that must be a success."""
    assert response.status_code == 200, response.text
    body: Mapping[str, Any] = response.json()
    assert body["status"] == "ok"
    return body["data"]


def refused(response: httpx.Response, status: int) -> str:
    """The message of a refusal in the envelope that all have."""
    body = response.json()
    assert response.status_code == status, response.text
    assert body["status"] == "error"
    assert set(body) <= {"status", "message", "hint", "refused"}
    return str(body["message"])
