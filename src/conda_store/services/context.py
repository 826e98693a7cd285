"""What every use case works with; made once by the programs (`server.app`, `worker.app`, `cli.serve`)."""

from __future__ import annotations

from dataclasses import dataclass

from conda_store.builder.ports import Builder, PackageSearch
from conda_store.db.engine import Database
from conda_store.domain.deployment import Deployment
from conda_store.storage.blobs import BlobStore


@dataclass(frozen=True)
class Context:
    database: Database
    blobs: BlobStore
    builder: Builder
    packages: PackageSearch
    deployment: Deployment

    async def close(self) -> None:
        await self.builder.close()
        self.database.close()
