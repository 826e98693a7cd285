"""Blobs of images that nobody needs any more are removed, and no others, however the steps of makers fall between."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from conda_store.artifacts.oci.documents import ManifestForm
from conda_store.db import artifacts, audit, images, kept_blobs, layers
from conda_store.domain.access import SYSTEM
from conda_store.domain.artifact import ArtifactState, ArtifactType, layer_blob_key
from conda_store.domain.audit import AuditFilter
from conda_store.domain.image import Compression, Layer
from conda_store.services.builds import delete_build
from conda_store.services.clearing import purge_deleted
from conda_store.services.context import Context
from conda_store.services.image_making import sweep
from conda_store.services.images import request_image
from conda_store.services.packing import make_artifact
from tests.queueing import LEASE, handed_in, run

FORMS = tuple(form.value for form in ManifestForm)


def keeping(context: Context, seconds: float) -> Context:
    return replace(context, deployment=replace(context.deployment, unused_layers_are_kept=timedelta(seconds=seconds)))


def imaged(context: Context, *dependencies: str, name: str = "env") -> int:
    """A build with an image."""
    build_id = handed_in(context, *dependencies, name=name)
    run(context, build_id)
    assert made(context, build_id) is ArtifactState.READY
    return build_id


def made(context: Context, build_id: int) -> ArtifactState:
    """Ask for the image of a build, and make it as a worker does."""
    request_image(context, build_id, FORMS, retries=True)
    with context.database.write() as connection:
        claimed = artifacts.claim(connection, "worker", LEASE)
    assert claimed is not None
    make_artifact(context, claimed)
    with context.database.read() as connection:
        found = artifacts.find(connection, build_id, ArtifactType.DOCKER_MANIFEST)
    assert found is not None
    return found.state


def blobs_of(context: Context, build_id: int) -> set[str]:
    with context.database.read() as connection:
        return images.digests_of_build(connection, build_id)


def stored(context: Context) -> set[str]:
    return {info.key.rpartition("/")[2] for info in context.blobs.list("layers")}


def deleted(context: Context, build_id: int) -> None:
    delete_build(context, SYSTEM, build_id)
    purge_deleted(context)


def test_what_no_image_has_is_removed(context: Context) -> None:
    kept, doomed = imaged(context, "zlib", "numpy"), imaged(context, "zlib", "pandas", name="other")
    shared = blobs_of(context, kept) & blobs_of(context, doomed)
    assert shared
    own = blobs_of(context, doomed) - shared
    deleted(context, doomed)
    assert sweep(keeping(context, 0)) == len(own)
    assert stored(context) == blobs_of(context, kept)
    assert sweep(keeping(context, 0)) == 0
    with context.database.read() as connection:
        told = [record.entry for record in audit.after(connection, AuditFilter(action="layers::sweep"), 0, 10)]
    assert [(entry.actor, entry.detail.split()[0]) for entry in told] == [("system", str(len(own)))]


def test_what_was_used_lately_stays(context: Context) -> None:
    deleted(context, imaged(context, "zlib"))
    before = stored(context)
    assert sweep(keeping(context, 60)) == 0
    assert stored(context) == before != set()


def test_what_was_swept_is_made_again(context: Context) -> None:
    deleted(context, imaged(context, "zlib"))
    sweep(keeping(context, 0))
    assert stored(context) == set()
    again = imaged(context, "zlib", name="again")
    assert stored(context) == blobs_of(context, again) != set()


def test_layers_in_zstd_are_made_once_and_swept_like_others(context: Context) -> None:
    first, second = imaged(context, "zlib"), imaged(context, "zlib", name="other")
    in_gzip = blobs_of(context, first) & blobs_of(context, second)
    for build_id in (first, second):
        request_image(context, build_id, FORMS, Compression.ZSTD)
        with context.database.write() as connection:
            claimed = artifacts.claim(connection, "worker", LEASE)
        assert claimed is not None
        make_artifact(context, claimed)
        assert request_image(context, build_id, FORMS, Compression.ZSTD).manifest is not None
    shared = blobs_of(context, first) & blobs_of(context, second)
    assert len(shared) == 2 * len(in_gzip)
    assert stored(context) == blobs_of(context, first) | blobs_of(context, second)
    deleted(context, first)
    sweep(keeping(context, 0))
    assert stored(context) == blobs_of(context, second)
    deleted(context, second)
    sweep(keeping(context, 0))
    assert stored(context) == set()


LAYER = Layer("a" * 64, "b" * 64, 4, 4, "one")


def claim(context: Context) -> None:
    with context.database.write() as connection:
        kept_blobs.claim(connection, [LAYER.digest])


def put(context: Context) -> None:
    context.blobs.put(layer_blob_key(LAYER.digest), b"tar!")


def add(context: Context) -> None:
    with context.database.write() as connection:
        layers.add(connection, {"key": LAYER})
        kept_blobs.claim(connection, [LAYER.digest])


def mark(context: Context) -> None:
    with context.database.write() as connection:
        kept_blobs.doom(connection, timedelta(0))


def remove(context: Context) -> None:
    with context.database.write() as connection:
        if kept_blobs.forget(connection, LAYER.digest):
            context.blobs.delete(layer_blob_key(LAYER.digest))


def find(context: Context) -> bool:
    """As a maker looks up what is known."""
    with context.database.write() as connection:
        found = layers.find(connection, ["key"])
        kept_blobs.claim(connection, [layer.digest for layer in found.values()])
    return bool(found)


@pytest.mark.parametrize(
    ("steps", "is_there"),
    [
        ((claim, put, add), True),
        ((claim, put, add, mark, remove), False),
        # found between the two halves of a sweep: it is no longer known, so it is made again, and stays
        ((claim, put, add, mark, find, remove), False),
        ((claim, put, add, mark, claim, remove, put, add), True),
        ((claim, put, add, mark, claim, put, remove, add), True),
        ((claim, put, add, mark, remove, claim, put, add), True),
        # known when it was found, so the mark comes too late
        ((claim, put, add, find, remove), True),
        # a maker that was killed leaves a claim, which runs out
        ((claim, put, mark, remove), False),
        ((claim, mark, remove), False),
    ],
)
def test_steps_in_any_order(context: Context, steps: Sequence[object], is_there: bool) -> None:
    for step in steps:
        assert callable(step)
        step(context)
    assert (context.blobs.head(layer_blob_key(LAYER.digest)) is not None) is is_there
    assert not find(context) or is_there


def test_an_image_whose_layers_were_swept_away_meanwhile_is_not_recorded(context: Context) -> None:
    deleted(context, imaged(context, "zlib"))
    before = stored(context)
    with context.database.read() as connection:
        assert kept_blobs.are_all_kept(connection, before)
    mark(context)
    with context.database.read() as connection:
        assert not kept_blobs.are_all_kept(connection, before)
        assert not kept_blobs.are_all_kept(connection, [*before, "f" * 64])


def test_makers_and_sweepers_at_once(context: Context) -> None:
    """Images come and go while sweepers never stop: whatever is offered is there."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def sweep_on() -> None:
        try:
            while not stop.wait(0.02):
                sweep(keeping(context, 0.5))  # what is claimed by the making of an image of two packages lasts longer
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=sweep_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    offered: set[str] = set()
    try:
        for turn in range(12):
            build_id = handed_in(context, "zlib", f"package-{turn % 3}", name=f"env{turn}")
            run(context, build_id)
            # where the machine stands still, layers may be swept away meanwhile: the maker is told, and asked again
            assert any(made(context, build_id) is ArtifactState.READY for _ in range(20))
            assert blobs_of(context, build_id) <= stored(context)
            if turn % 2:
                deleted(context, build_id)
            else:
                offered |= blobs_of(context, build_id)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert failures == []
    assert offered <= stored(context)
