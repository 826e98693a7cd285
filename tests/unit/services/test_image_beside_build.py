"""Images that are made while their build is still installing, and what is left of them when it fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from conda_store.artifacts.oci.documents import ManifestForm
from conda_store.builder.fake import FakeBuilder
from conda_store.builder.ports import Installed, InstallRequest, Reporter
from conda_store.db import artifacts, builds, images, leases
from conda_store.db.images import ManifestRecord
from conda_store.domain.artifact import ArtifactState, ArtifactType
from conda_store.domain.build import BuildStatus
from conda_store.domain.credential import Credentials
from conda_store.domain.lock import PlatformLock
from conda_store.errors import Conflict, PackageUnavailable
from conda_store.services.context import Context
from conda_store.services.images import request_image
from conda_store.services.packing import make_artifact
from conda_store.services.run_build import run_build
from tests.queueing import LEASE, claimed, found, handed_in, pack, run, with_builder

_NONE = Credentials()
FORMS = (ManifestForm.OCI.value,)


class Pausing(FakeBuilder):
    """While it installs, the image is asked for and made as by another child of the worker."""

    def __init__(self, *, fails: bool = False, collides: bool = False) -> None:
        super().__init__()
        self.context: Context | None = None
        self.build_id = 0
        self.fails = fails
        self.collides = collides
        self.seen: list[ManifestRecord | None] = []

    async def install(self, request: InstallRequest, reporter: Reporter) -> Installed:
        if self.build_id:
            self.seen.append(await asyncio.to_thread(self._image))
        if self.fails:
            raise PackageUnavailable("the channel is away")
        return await super().install(request, reporter)

    def _image(self) -> ManifestRecord | None:
        assert self.context is not None
        pack(self.context)
        return request_image(self.context, self.build_id, FORMS).manifest

    async def extracted(
        self, lock: PlatformLock, scratch: Path, reporter: Reporter, credentials: Credentials = _NONE
    ) -> Mapping[str, Path]:
        directories = await super().extracted(lock, scratch, reporter, credentials)
        if self.collides:
            for directory in directories.values():
                (directory / "share").mkdir()
                (directory / "share" / "same").touch()
                paths = directory / "info" / "paths.json"
                document = json.loads(paths.read_text())
                document["paths"].append({"_path": "share/same", "path_type": "hardlink"})
                paths.write_text(json.dumps(document))
        return directories


def state(context: Context, build_id: int) -> ArtifactState:
    with context.database.read() as connection:
        image = artifacts.find(connection, build_id, ArtifactType.DOCKER_MANIFEST)
    assert image is not None
    return image.state


def asked(context: Context, builder: Pausing, *dependencies: str) -> int:
    """A build whose image somebody waits for."""
    builder.context = with_builder(context, builder)
    builder.build_id = handed_in(context, *dependencies)
    assert request_image(context, builder.build_id, FORMS).manifest is None
    return builder.build_id


def test_an_image_is_there_before_the_build_has_ended(context: Context) -> None:
    builder = Pausing()
    build_id = asked(context, builder, "zlib", "numpy")
    assert pack(context) == 0  # there is no lock yet
    assert builder.context is not None
    assert run(builder.context, build_id).status is BuildStatus.COMPLETED
    (early,) = builder.seen
    assert early is not None
    assert request_image(context, build_id, FORMS).manifest == early
    assert state(context, build_id) is ArtifactState.READY


def test_it_is_the_one_that_is_made_afterwards(context: Context) -> None:
    builder = Pausing()
    build_id = asked(context, builder, "zlib", "numpy")
    assert builder.context is not None
    run(builder.context, build_id)
    with context.database.write() as connection:
        images.withdraw(connection, build_id)
    assert pack(context) == 1
    assert request_image(context, build_id, FORMS).manifest == builder.seen[0]


def test_of_a_build_that_is_tried_again_and_fails_nothing_is_left(context: Context) -> None:
    builder = Pausing(fails=True)
    build_id = asked(context, builder, "zlib")
    assert builder.context is not None
    assert run(builder.context, build_id).status is BuildStatus.QUEUED
    assert builder.seen[0] is not None
    assert request_image(context, build_id, FORMS).manifest is None
    assert pack(context) == 0
    assert run(builder.context, build_id).status is BuildStatus.FAILED
    assert builder.seen[1] is not None
    with pytest.raises(Conflict, match="the channel is away"):
        request_image(context, build_id, FORMS)
    with context.database.read() as connection:
        environment = found(context, build_id).environment_id
        assert images.manifest_by_digest(connection, environment, builder.seen[1].digest) is None
        assert images.digests_of_build(connection, build_id) == set()


def test_an_image_that_comes_too_late_is_not_recorded(context: Context) -> None:
    build_id = handed_in(context, "zlib")
    request_image(context, build_id, FORMS)
    lease = claimed(context)

    class Stopped(FakeBuilder):
        async def install(self, request: InstallRequest, reporter: Reporter) -> Installed:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(run_build(with_builder(context, Stopped()), lease))
    with context.database.write() as connection:
        artifact = artifacts.claim(connection, "worker", LEASE, beside_build=True)
        assert artifact is not None
        assert leases.queue_again(connection, lease, timedelta(0), "lost")
    make_artifact(context, artifact)
    assert state(context, build_id) is ArtifactState.REQUESTED
    with context.database.read() as connection:
        assert images.manifests_of_build(connection, build_id, FORMS) == ()
        build = builds.get(connection, build_id)
    assert build is not None and build.lock_digest is not None
    assert run(context, build_id).status is BuildStatus.COMPLETED
    assert pack(context) == 1
    assert state(context, build_id) is ArtifactState.READY


def test_where_packages_collide_the_environment_is_waited_for(context: Context) -> None:
    """Found out by looking at the packages first, later without."""
    builder = Pausing(collides=True)
    for _ in range(2):
        build_id = asked(context, builder, "zlib", "numpy")
        assert builder.context is not None
        run(builder.context, build_id)
        assert builder.seen.pop() is None
        assert pack(builder.context) == 1
        assert request_image(context, build_id, FORMS).manifest is not None
        assert builder.calls["extracted"] == 1


def test_what_is_known_of_all_packages_is_not_read_again(context: Context) -> None:
    builder = Pausing()
    for _ in range(2):
        asked(context, builder, "zlib", "numpy")
        assert builder.context is not None
        run(builder.context, builder.build_id)
        assert builder.seen.pop() is not None
    assert builder.calls["extracted"] == 1


def test_with_pip_the_environment_is_waited_for(context: Context) -> None:
    builder = Pausing()
    build_id = asked(context, builder, "python", "{pip: [flask]}")
    assert builder.context is not None
    run(builder.context, build_id)
    assert builder.seen == [None]
    assert pack(builder.context) == 1
