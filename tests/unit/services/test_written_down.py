"""Whatever lies outside the database, when something happens between its making and its being written down."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import func, select

from conda_store.artifacts.oci.documents import ManifestForm
from conda_store.builder.fake import FakeBuilder
from conda_store.builder.ports import Installed, InstallRequest, Reporter, SolveRequest
from conda_store.db import artifacts, environments, images
from conda_store.db.leases import Lease
from conda_store.db.records import ArtifactRecord
from conda_store.db.tables import environment as environment_table
from conda_store.domain.access import SYSTEM
from conda_store.domain.artifact import ArtifactState, ArtifactType
from conda_store.domain.build import BuildStatus
from conda_store.domain.image import Compression
from conda_store.domain.lock import Lock, PlatformLock
from conda_store.errors import Interrupted, PackageUnavailable
from conda_store.services import housekeeping
from conda_store.services.builds import cancel_build, delete_build
from conda_store.services.clearing import purge_deleted
from conda_store.services.context import Context
from conda_store.services.ending import give_up
from conda_store.services.environments import delete_environment, update_environment
from conda_store.services.images import request_image
from conda_store.services.links import update_links
from conda_store.services.logs import keep_log
from conda_store.services.packing import make_artifact
from conda_store.services.run_build import run_build
from conda_store.services.settings import update_settings
from conda_store.storage.blobs import StoredBlob
from tests.queueing import (
    LEASE,
    archive_asked_for,
    claimed,
    found,
    handed_in,
    known,
    link,
    log,
    pack,
    run,
    stored,
    with_builder,
)
from tests.waiting import PATIENCE

FORMS = (ManifestForm.OCI.value,)
LOST = Interrupted("its process ended")


class Ended(BaseException):
    """The process was killed here."""


class After:
    """Blobs of which one, once it is stored, makes something else happen, once."""

    def __init__(self, context: Context, folder: str, event: Callable[[], object]) -> None:
        self._blobs = context.blobs
        self._folder = folder
        self._event: Callable[[], object] | None = event

    def put(self, key: str, *arguments: Any) -> StoredBlob:
        return self._happened(self._blobs.put(key, *arguments))

    def put_file(self, key: str, *arguments: Any, **options: Any) -> StoredBlob:
        return self._happened(self._blobs.put_file(key, *arguments, **options))

    def _happened(self, blob: StoredBlob) -> StoredBlob:
        if self._event is not None and blob.key.startswith(f"{self._folder}/"):
            event, self._event = self._event, None
            event()
        return blob

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)


def killed() -> None:
    raise Ended


@pytest.mark.parametrize("folder", ["lockfile", "yaml"])
def test_what_a_killed_attempt_had_stored_goes_with_its_end(context: Context, folder: str) -> None:
    build_id = handed_in(context, "python")
    lease = claimed(context)
    with pytest.raises(Ended):
        asyncio.run(run_build(after(context, folder, killed), lease))
    assert f"{folder}/{found(context, build_id).key}.yml" in stored(context)
    cancel_build(context, SYSTEM, build_id)
    give_up(context, lease, LOST)
    assert found(context, build_id).status is BuildStatus.CANCELED
    asyncio.run(housekeeping.tidy_ended(context))
    assert stored(context) == known(context, build_id)


@pytest.mark.parametrize("folder", ["lockfile", "logs"])
def test_what_is_stored_while_the_environment_is_cleared_up_is_removed(context: Context, folder: str) -> None:
    handed_in(context, "python")
    lease = claimed(context)

    def clear_up() -> None:
        delete_environment(context, SYSTEM, "ns", "env")
        give_up(context, lease, LOST)
        purge_deleted(context)

    asyncio.run(run_build(after(context, folder, clear_up), lease))
    assert stored(context) == set()


def test_a_log_that_was_stored_by_a_killed_process_goes_with_its_environment(context: Context) -> None:
    build_id = handed_in(context, "python")
    with pytest.raises(Ended):
        asyncio.run(run_build(after(context, "logs", killed), claimed(context)))
    assert found(context, build_id).status is BuildStatus.COMPLETED
    delete_environment(context, SYSTEM, "ns", "env")
    purge_deleted(context)
    assert stored(context) == set()


def test_a_build_that_gets_an_artifact_while_it_is_cleared_up_is_looked_at_again(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    delete_environment(context, SYSTEM, "ns", "env")

    class Late:
        def delete(self, key: str) -> None:
            context.blobs.delete(key)
            if key.startswith("logs/"):
                context.blobs.put(key, b"late", "text/plain")
                with context.database.write() as connection:
                    artifacts.add(connection, build.id, ArtifactType.LOGS, key, size=4)

        def __getattr__(self, name: str) -> Any:
            return getattr(context.blobs, name)

    purge_deleted(replace(context, blobs=cast(Any, Late())))
    assert housekeeping.look(context).deletions
    purge_deleted(context)
    assert not housekeeping.look(context).deletions
    assert stored(context) == set()


class BeforeWrite:
    """A database in which something happens before the first writing transaction after a condition has come to hold."""

    def __init__(self, context: Context, condition: Callable[[], object], event: Callable[[], object]) -> None:
        self._database = context.database
        self._condition = condition
        self._event: Callable[[], object] | None = event

    def write(self, **options: bool) -> Any:
        if self._event is not None and self._condition():
            event, self._event = self._event, None
            event()
        return self._database.write(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


def after(context: Context, folder: str, event: Callable[[], object]) -> Context:
    return replace(context, blobs=cast(Any, After(context, folder, event)))


def aside(work: Callable[[], object]) -> None:
    """As another process does it: here is an event loop running already."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_the_log_of_a_build_that_is_deleted_as_soon_as_it_was_canceled_is_kept(context: Context) -> None:
    build_id = handed_in(context, "python")
    lease = claimed(context)
    cancel_build(context, SYSTEM, build_id)
    give_up(context, lease, LOST)
    delete_build(context, SYSTEM, build_id)
    purge_deleted(context)
    asyncio.run(housekeeping.tidy_ended(context))
    assert not housekeeping.has_untidied(context, ())
    assert stored(context) == known(context, build_id) == {f"logs/{found(context, build_id).key}.log"}
    assert "CANCELED" in log(context, build_id)


def test_a_log_that_two_keep_while_the_build_is_cleared_up_stays(context: Context) -> None:
    build_id = handed_in(context, "python")

    def keep_and_clear_up() -> None:
        keep_log(context, build_id)
        delete_build(context, SYSTEM, build_id)
        purge_deleted(context)

    asyncio.run(run_build(after(context, "logs", keep_and_clear_up), claimed(context)))
    assert stored(context) == known(context, build_id)
    assert "build completed" in log(context, build_id)


class Newer(FakeBuilder):
    """Channels in which everything is newer meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.state = "newer"

    async def solve(self, request: SolveRequest, reporter: Reporter) -> Lock:
        lock = await super().solve(request, reporter)
        return replace(lock, platforms=tuple(map(_newer, lock.platforms)))


def _newer(part: PlatformLock) -> PlatformLock:
    return replace(part, conda=tuple(replace(package, version="9.0") for package in part.conda))


def by_another(context: Context, lease: Lease) -> None:
    """The build is taken from a worker that seems to be lost, and completed."""
    give_up(context, lease, LOST)
    again = claimed(context)
    aside(lambda: asyncio.run(run_build(with_builder(context, Newer()), again)))


def whole(context: Context, build_id: int) -> None:
    """Every blob is what it is written down to be."""
    assert found(context, build_id).status is BuildStatus.COMPLETED
    with context.database.read() as connection:
        blobs = [item for item in artifacts.of_build(connection, build_id) if item.key in known(context, build_id)]
    assert {ArtifactType.LOCKFILE, ArtifactType.YAML} <= {item.type for item in blobs}
    for item in blobs:
        assert hashlib.sha256(context.blobs.get(item.key)).hexdigest() == item.sha256, item.key


def test_one_who_lost_the_build_while_storing_its_lock_leaves_that_of_the_next(context: Context) -> None:
    build_id = handed_in(context, "python")
    late = claimed(context)
    asyncio.run(run_build(after(context, "lockfile", lambda: by_another(context, late)), late))
    whole(context, build_id)
    assert b"9.0" in context.blobs.get(f"yaml/{found(context, build_id).key}.yml")


def test_one_who_lost_the_build_while_solving_stores_nothing(context: Context) -> None:
    build_id = handed_in(context, "python")
    late = claimed(context)

    class Frozen(FakeBuilder):
        async def solve(self, request: SolveRequest, reporter: Reporter) -> Lock:
            lock = await super().solve(request, reporter)
            by_another(context, late)
            return lock

    stopped = after(with_builder(context, Frozen()), "lockfile", killed)
    asyncio.run(run_build(stopped, late))
    whole(context, build_id)


def test_what_is_stored_after_the_end_of_the_build_is_removed(context: Context) -> None:
    build_id = handed_in(context, "python")
    late = claimed(context)

    def end() -> None:
        cancel_build(context, SYSTEM, build_id)
        give_up(context, late, LOST)
        keep_log(context, build_id)

    asyncio.run(run_build(after(context, "lockfile", end), late))
    assert stored(context) == known(context, build_id) == {f"logs/{found(context, build_id).key}.log"}


def test_one_who_lost_the_build_while_installing_leaves_no_staging_directory(context: Context) -> None:
    build_id = handed_in(context, "python")
    late = claimed(context)

    class Frozen(FakeBuilder):
        async def install(self, request: InstallRequest, reporter: Reporter) -> Installed:
            by_another(context, late)
            request.staging.mkdir()
            raise PackageUnavailable("the channel is away")

    asyncio.run(run_build(with_builder(context, Frozen()), late))
    prefix = found(context, build_id).prefix
    assert prefix is not None
    assert {path.name for path in Path(prefix).parent.iterdir()} == {"envs", Path(prefix).name}


# --- links ----------------------------------------------------------------------------------------------------


def test_a_link_that_was_half_made_goes_with_its_environment(context: Context) -> None:
    handed_in(context, "python")
    half = link(context, "%-env")
    half.parent.mkdir(parents=True)
    half.symlink_to("somewhere")
    delete_environment(context, SYSTEM, "ns", "env")
    purge_deleted(context)
    assert not half.is_symlink()


def test_a_link_that_was_half_made_goes_when_it_need_not_be_changed_any_more(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    half = link(context, "%-env")
    half.symlink_to("somewhere")
    with context.database.write() as connection:
        environments.set_linked(connection, build.environment_id, None)
    update_links(context)
    assert not half.is_symlink()
    assert link(context).is_dir()


def test_a_link_that_was_set_and_not_written_down_goes_with_its_environment(context: Context) -> None:
    build = run(context, handed_in(context, "python"))
    with context.database.write() as connection:
        environments.set_linked(connection, build.environment_id, None)
    delete_environment(context, SYSTEM, "ns", "env")
    purge_deleted(context)
    assert list(link(context).parent.iterdir()) == []


def test_a_link_that_was_set_and_not_written_down_is_set_back(context: Context) -> None:
    first, second = (run(context, handed_in(context, "python")) for _ in range(2))
    with context.database.write() as connection:
        environments.set_linked(connection, first.environment_id, first.id)
    assert link(context).readlink().name == second.key
    update_environment(context, SYSTEM, "ns", "env", build_id=first.id)
    update_links(context)
    assert link(context).readlink().name == first.key


def test_an_environment_goes_with_the_last_of_its_builds(context: Context) -> None:
    """Who clears up may be killed after it; nobody would look for the environment again."""
    for _ in range(2):
        run(context, handed_in(context, "python"))
    delete_environment(context, SYSTEM, "ns", "env")

    def are_all_purged() -> bool:
        return not housekeeping.look(context).deletions

    with pytest.raises(Ended):
        purge_deleted(replace(context, database=cast(Any, BeforeWrite(context, are_all_purged, killed))))
    with context.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(environment_table)).scalar_one() == 0


# --- artifacts ------------------------------------------------------------------------------------------------


def making(context: Context) -> ArtifactRecord:
    """An archive that somebody has asked for, and that is being made."""
    archive_asked_for(context)
    with context.database.write() as connection:
        archive = artifacts.claim(connection, "worker", LEASE)
    assert archive is not None
    return archive


@pytest.mark.parametrize("is_killed", [False, True])
def test_an_archive_that_is_stored_when_the_environment_was_deleted_goes_with_it(
    context: Context, is_killed: bool
) -> None:
    archive = making(context)

    class Slow:
        def put_file(self, *arguments: Any, **options: Any) -> StoredBlob:
            delete_environment(context, SYSTEM, "ns", "env")
            purge_deleted(context)
            blob = context.blobs.put_file(*arguments, **options)
            if is_killed:
                raise Ended
            return blob

        def __getattr__(self, name: str) -> Any:
            return getattr(context.blobs, name)

    with suppress(Ended):
        make_artifact(replace(context, blobs=cast(Any, Slow())), archive)
    if is_killed:
        housekeeping.end_lost_artifact(context, archive, "its process ended")
    purge_deleted(context)
    assert not housekeeping.look(context).deletions
    assert stored(context) == set()


def test_an_archive_of_a_deleted_build_need_not_be_made(context: Context) -> None:
    archive = making(context)
    with context.database.write() as connection:
        assert artifacts.is_to_be_made(connection, archive)
        assert artifacts.renew(connection, archive, LEASE)
    delete_build(context, SYSTEM, archive.build_id)
    with context.database.write() as connection:
        assert not artifacts.is_to_be_made(connection, archive)
        assert not artifacts.renew(connection, archive, LEASE)


def test_an_archive_that_is_kept_is_not_removed_by_one_who_lost_it(context: Context) -> None:
    update_settings(context, SYSTEM, {"build_artifacts_kept_on_deletion": ["CONDA_PACK"]})
    late = making(context)

    def kept_by_another() -> None:
        housekeeping.end_lost_artifact(context, late, "lost")
        assert pack(context) == 1
        delete_build(context, SYSTEM, late.build_id)
        purge_deleted(context)

    make_artifact(after(context, "archive", kept_by_another), late)
    assert not housekeeping.look(context).deletions
    assert stored(context) == known(context, late.build_id) == {late.key}


class Stopped(FakeBuilder):
    async def install(self, request: InstallRequest, reporter: Reporter) -> Installed:
        raise Ended


def test_an_image_that_is_withdrawn_as_soon_as_it_was_made_is_none(context: Context) -> None:
    """Layers in zstd are made of the image in gzip, which is made before and written down as well."""
    context = replace(context, deployment=replace(context.deployment, offers_zstd_images=True))
    build_id = handed_in(context, "zlib")
    request_image(context, build_id, FORMS, Compression.ZSTD)
    lease = claimed(context)
    with pytest.raises(Ended):
        asyncio.run(run_build(with_builder(context, Stopped()), lease))
    with context.database.write() as connection:
        image = artifacts.claim(connection, "worker", LEASE, beside_build=True)
    assert image is not None

    def is_recorded() -> bool:
        with context.database.read() as connection:
            return bool(images.manifests_of_build(connection, build_id, FORMS))

    withdrawing = BeforeWrite(context, is_recorded, lambda: give_up(context, lease, LOST))
    make_artifact(replace(context, database=cast(Any, withdrawing)), image)
    assert found(context, build_id).status is BuildStatus.QUEUED
    with context.database.read() as connection:
        of_build = artifacts.of_build(connection, build_id)
    assert {item.state for item in of_build if item.type is ArtifactType.DOCKER_MANIFEST} == {ArtifactState.REQUESTED}
