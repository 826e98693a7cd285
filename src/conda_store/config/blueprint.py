"""The whole configuration as plain values that can be sent to another process, and the adapters made from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from conda_store.builder.deferred import DeferredBuilder
from conda_store.builder.options import BuilderOptions
from conda_store.domain.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conda_store.auth.sealing import Sealer
    from conda_store.builder.ports import Builder, PackageSearch
    from conda_store.db.engine import Database
    from conda_store.storage.blobs import BlobStore


@dataclass(frozen=True)
class Blueprint:
    """`cache_directory` holds packages, repodata and indexes: it may be emptied while nothing runs."""

    database_url: str
    storage_path: Path
    cache_directory: Path
    deployment: Deployment
    builder_options: BuilderOptions = field(default_factory=BuilderOptions)
    upgrades_database: bool = True
    credential_keys: tuple[str, ...] = field(default=(), repr=False)
    credential_key_file: Path | None = None

    def database(self) -> Database:
        from conda_store.db.engine import Database

        return Database(self.database_url)

    def blobs(self) -> BlobStore:
        from conda_store.storage.local import local_blobs

        return local_blobs(self.storage_path)

    def sealer(self) -> Sealer:
        from conda_store.auth.sealing import Sealer

        return Sealer(self._credential_keys)

    def _credential_keys(self) -> Sequence[str]:
        from conda_store.auth.sealing import keys_of_file

        if self.credential_keys or self.credential_key_file is None:
            return self.credential_keys
        return keys_of_file(self.credential_key_file)

    def builder(self) -> Builder:
        return DeferredBuilder(self._engine)

    def _engine(self) -> Builder:
        from conda_store.builder.engine import RattlerBuilder

        return RattlerBuilder(self.cache_directory, options=self.builder_options)

    def packages(self) -> PackageSearch:
        from conda_store.builder.package_index import IndexOptions, PackageIndex

        file = self.builder_options.authentication_file
        options = IndexOptions(
            authentication_file=str(file) if file else None, addresses=self.builder_options.addresses
        )
        return PackageIndex(self.cache_directory / "index", options=options)
