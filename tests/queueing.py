"""Builds handed in, claimed and run by a builder that needs no packages, on whichever database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from conda_store.builder.fake import FakeBuilder
from conda_store.builder.package_index import PackageIndex
from conda_store.builder.ports import Builder
from conda_store.db import artifacts, builds, leases, logs, migrate
from conda_store.db.engine import Database
from conda_store.db.leases import Lease
from conda_store.db.records import BuildRecord
from conda_store.domain.access import SYSTEM
from conda_store.domain.artifact import BLOBS, ArtifactState, ArtifactType
from conda_store.domain.deployment import Deployment
from conda_store.domain.settings import Settings
from conda_store.errors import DatabaseFull
from conda_store.services.context import Context
from conda_store.services.packing import make_artifact
from conda_store.services.run_build import run_build
from conda_store.services.specifications import Submission, submit
from conda_store.storage import local_blobs

LEASE = timedelta(seconds=30)


def opened(url: str, directory: Path) -> Context:
    """A conda-store in a directory, its database brought to the present schema."""
    database = Database(url)
    migrate.upgrade(database)
    deployment = Deployment(
        directory / "s", settings=Settings(storage_threshold=0), first_retry_delay=timedelta(0), max_attempts=2
    )
    return Context(
        database, local_blobs(directory / "blobs"), FakeBuilder(), PackageIndex(directory / "index"), deployment
    )


class FullDatabase:
    """A database like another, whose disk may be full."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_full = True

    def write(self, **options: bool) -> Any:
        if self.is_full:
            raise DatabaseFull("no space left on the disk of the database", hint="Make room.")
        return self._database.write(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


def with_database(context: Context, database: FullDatabase) -> Context:
    return replace(context, database=cast(Database, database))


def with_builder(context: Context, builder: Builder) -> Context:
    return Context(context.database, context.blobs, builder, context.packages, context.deployment)


def handed_in(context: Context, *dependencies: str, name: str = "env") -> int:
    text = f"name: {name}\ndependencies: [{', '.join(dependencies)}]\n"
    return submit(context, SYSTEM, Submission(text.encode(), namespace="ns"))


def claimed(context: Context) -> Lease:
    with context.database.write() as connection:
        lease = leases.claim(connection, "worker", LEASE)
    assert lease is not None
    return lease


def run(context: Context, build_id: int) -> BuildRecord:
    lease = claimed(context)
    assert lease.build_id == build_id
    asyncio.run(run_build(context, lease))
    return found(context, build_id)


def pack(context: Context) -> int:
    """Make the artifacts that are asked for, as a worker does; how many there were."""
    made = 0
    while True:
        with context.database.write() as connection:
            artifact = artifacts.claim(connection, "worker", LEASE, beside_build=True)
            artifact = artifact or artifacts.claim(connection, "worker", LEASE)
        if artifact is None:
            return made
        make_artifact(context, artifact)
        made += 1


def found(context: Context, build_id: int) -> BuildRecord:
    with context.database.read() as connection:
        build = builds.get(connection, build_id)
    assert build is not None
    return build


def log(context: Context, build_id: int) -> str:
    with context.database.read() as connection:
        kept = artifacts.find(connection, build_id, ArtifactType.LOGS)
        text = logs.whole(connection, build_id)
    return context.blobs.get(kept.key).decode() if kept else text


def link(context: Context, name: str = "env") -> Path:
    return context.deployment.store_directory / "ns" / "envs" / name


def archive_asked_for(context: Context) -> int:
    """A build that has completed, and whose archive somebody has asked for: the artifact's id."""
    build = run(context, handed_in(context, "python"))
    with context.database.write() as connection:
        archive = artifacts.find(connection, build.id, ArtifactType.CONDA_PACK)
        assert archive is not None
        artifacts.request(connection, archive.id)
    return archive.id


def stored(context: Context) -> set[str]:
    """The keys of all blobs."""
    return {blob.key for blob in context.blobs.list("")}


def known(context: Context, build_id: int) -> set[str]:
    """The keys of the blobs that a build is written down to have."""
    with context.database.read() as connection:
        of_build = artifacts.of_build(connection, build_id)
    return {item.key for item in of_build if item.type in BLOBS and item.state is ArtifactState.READY}
