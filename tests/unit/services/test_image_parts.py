"""Parts of images are found as artifacts of builds, whether few builds have an image or most."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from conda_store.db import images
from conda_store.db.builds import BuildFilter
from conda_store.db.environments import EnvironmentFilter
from conda_store.db.images import ManifestRecord
from conda_store.db.paging import PageRequest
from conda_store.db.tables import build, environment, image_manifest, namespace, specification
from conda_store.domain.access import SYSTEM
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.build import BuildStatus
from conda_store.services.builds import get_build, list_builds
from conda_store.services.context import Context
from conda_store.services.environments import list_environments
from tests.queueing import handed_in, run

BUILDS = 1500
DIGESTS = [digit * 64 for digit in "1234"]


def fill(context: Context, imaged: int) -> None:
    """Builds of one environment each, of which the last ones have an image."""
    now = datetime.now(UTC)
    ids = range(1, BUILDS + 1)
    with context.database.write() as connection:
        connection.execute(namespace.insert().values(id=1, name="many", metadata_={}))
        connection.execute(
            specification.insert().values(id=1, name="e", spec={}, sha256="0" * 64, created_on=now, is_lockfile=False)
        )
        connection.execute(
            environment.insert(),
            [{"id": number, "namespace_id": 1, "name": f"e{number}", "current_build_id": number} for number in ids],
        )
        connection.execute(
            build.insert(),
            [
                {
                    "id": number, "specification_id": 1, "environment_id": number, "key": f"k{number}",
                    "status": BuildStatus.COMPLETED, "scheduled_on": now, "build_key_version": 2,
                }
                for number in ids
            ],
        )  # fmt: skip
        connection.execute(
            image_manifest.insert(),
            [
                {
                    "build_id": number, "media_type": form, "platform": "linux-64", "compression": "gzip",
                    "digest": DIGESTS[0], "content": b"{}",
                }
                for number in ids[-imaged:]
                for form in ("one", "other")
            ],
        )  # fmt: skip


@pytest.mark.parametrize("imaged", [3, 1200])
def test_lists_find_them_whether_few_have_them_or_most(context: Context, imaged: int) -> None:
    fill(context, imaged)
    expected = list(range(BUILDS - imaged + 1, BUILDS + 1))
    wanted = BuildFilter(artifact=ArtifactType.DOCKER_BLOB)
    found = list_builds(context, SYSTEM, wanted, PageRequest(size=100))
    assert ([row.id for row in found.rows], found.count) == (expected[:100], imaged)
    newest = list_builds(context, SYSTEM, wanted, PageRequest(size=2, sort_by=("id",), is_descending=True))
    assert [row.id for row in newest.rows] == [BUILDS, BUILDS - 1]
    last = list_builds(context, SYSTEM, wanted, PageRequest(size=1, page=imaged))
    assert [row.id for row in last.rows] == [BUILDS]
    environments = EnvironmentFilter(artifact=ArtifactType.DOCKER_BLOB)
    listed = list_environments(context, SYSTEM, environments, PageRequest(size=BUILDS))
    assert (sorted(row.id for row in listed.rows), listed.count) == (expected, imaged)


def test_they_are_told_by_kind_and_digest(context: Context) -> None:
    build_id = handed_in(context, "zlib")
    run(context, build_id)
    first, second, blob, other = DIGESTS
    with context.database.write() as connection:
        manifests = [ManifestRecord(first, "one", b"12345"), ManifestRecord(second, "other", b"1")]
        images.add(connection, build_id, manifests, {other: 7, blob: 3})
    _, _, artifacts = get_build(context, SYSTEM, build_id)
    parts = [item for item in artifacts if item.type is ArtifactType.DOCKER_BLOB]
    assert {(item.key, item.size, item.sha256) for item in parts} == {
        (f"docker/manifest/sha256:{first}", 5, first),
        (f"docker/manifest/sha256:{second}", 1, second),
        (f"docker/blobs/{blob}", 3, blob),
        (f"docker/blobs/{other}", 7, other),
    }
    assert {item.id for item in parts} == {int(digest[:13], 16) for digest in DIGESTS}, "52 bits"
