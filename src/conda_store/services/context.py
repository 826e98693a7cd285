"""What every use case works with; made once by the programs (`server.app`, `worker.app`, `cli.serve`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from conda_store.auth.sealing import Sealer, no_keys
from conda_store.builder.ports import Builder, PackageSearch
from conda_store.db.engine import Database
from conda_store.domain.deployment import Deployment
from conda_store.services.validating import Validators
from conda_store.storage.blobs import BlobStore


class Parts(Protocol):
    """The configuration's side: it makes the adapters."""

    @property
    def deployment(self) -> Deployment: ...

    def database(self) -> Database: ...

    def blobs(self) -> BlobStore: ...

    def builder(self) -> Builder: ...

    def packages(self) -> PackageSearch: ...

    def sealer(self) -> Sealer: ...


@dataclass(frozen=True)
class Context:
    database: Database
    blobs: BlobStore
    builder: Builder
    packages: PackageSearch
    deployment: Deployment
    sealer: Sealer = field(default_factory=lambda: Sealer(no_keys))
    validators: Validators = field(default_factory=Validators)

    @classmethod
    def assemble(cls, parts: Parts) -> Context:
        return cls(parts.database(), parts.blobs(), parts.builder(), parts.packages(), parts.deployment, parts.sealer())

    async def close(self) -> None:
        await self.builder.close()
        self.database.close()
