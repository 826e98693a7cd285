"""What a worker asks at every change of the database must not grow with all the builds that there are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection

from conda_store.db import artifacts, builds, environments, leases, logs
from conda_store.db.engine import Database
from conda_store.db.paging import PageRequest
from conda_store.db.tables import build, environment, image_manifest, namespace, specification
from conda_store.domain.access import SYSTEM
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.build import BuildStatus

ENVIRONMENTS = 1000
BUILDS_OF_EACH = 20


def fill(database: Database) -> None:
    now = datetime.now(UTC)
    with database.write() as connection:
        connection.execute(namespace.insert().values(id=1, name="ns", metadata_={}))
        connection.execute(
            specification.insert().values(id=1, name="e", spec={}, sha256="0" * 64, created_on=now, is_lockfile=False)
        )
        ids = range(1, ENVIRONMENTS + 1)
        last = {number: number * BUILDS_OF_EACH for number in ids}
        connection.execute(
            environment.insert(),
            [{"id": i, "namespace_id": 1, "name": f"e{i}", "current_build_id": last[i], "linked_build_id": last[i]}
             for i in ids],
        )  # fmt: skip
        connection.execute(
            build.insert(),
            [{"id": i, "specification_id": 1, "environment_id": (i - 1) // BUILDS_OF_EACH + 1, "key": f"k{i}",
              "status": BuildStatus.COMPLETED, "scheduled_on": now, "build_key_version": 2, "prefix": f"/p/{i}"}
             for i in range(1, ENVIRONMENTS * BUILDS_OF_EACH + 1)],
        )  # fmt: skip


def steps_of(database: Database, ask: Callable[[Connection], object]) -> int:
    """The instructions of SQLite's virtual machine, in hundreds."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    with database.read() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(step, 100)
        try:
            ask(connection)
        finally:
            driver.set_progress_handler(None, 0)
    return steps


QUESTIONS: dict[str, Callable[[Connection], object]] = {
    "links": environments.links_to_change,
    "due": leases.has_due,
    "next": leases.next_moment,
    "expired": leases.expired,
    "deleted": builds.has_deleted,
    "purge": builds.to_purge,
    "artifacts": artifacts.has_requested,
    "logs": logs.of_ended_builds,
}


def test_questions_of_a_worker_do_not_walk_through_all_builds(database: Database) -> None:
    fill(database)
    steps = {name: steps_of(database, ask) for name, ask in QUESTIONS.items()}
    # a walk through the builds takes some instructions for each
    most = ENVIRONMENTS * BUILDS_OF_EACH // 100
    assert {name: count for name, count in steps.items() if count >= most} == {}


def test_a_link_to_change_among_many_is_found(database: Database) -> None:
    fill(database)
    with database.write() as connection:
        environments.set_linked(connection, 500, 1)
    with database.read() as connection:
        (change,) = environments.links_to_change(connection)
    assert (change.environment_id, change.build_id) == (500, 500 * BUILDS_OF_EACH)


def test_the_few_builds_that_have_an_image_are_not_looked_for_among_all(database: Database) -> None:
    fill(database)
    imaged = range(100, ENVIRONMENTS * BUILDS_OF_EACH, 5000)
    rows = [{"media_type": "one", "platform": "", "digest": "0" * 64, "content": b"", "build_id": i} for i in imaged]
    with database.write() as connection:
        connection.execute(image_manifest.insert(), rows)
    wanted = builds.BuildFilter(artifact=ArtifactType.DOCKER_BLOB)
    found: list[int] = []

    def ask(connection: Connection) -> None:
        page = builds.list_readable(connection, SYSTEM, wanted, PageRequest())
        found.extend(row.id for row in page.rows)

    assert steps_of(database, ask) < ENVIRONMENTS * BUILDS_OF_EACH // 100
    assert found == list(imaged)
