"""What people look at: environments with how they stand, and what differs between two builds."""

from __future__ import annotations

from dataclasses import dataclass

from conda_store.db import builds, environments, locks, overview, search
from conda_store.db.environments import EnvironmentFilter
from conda_store.db.paging import Page, PageRequest
from conda_store.db.records import BuildRecord, EnvironmentRecord
from conda_store.domain.access import Actor
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.difference import Difference, difference
from conda_store.domain.lock import PlatformLock
from conda_store.errors import InvalidInput
from conda_store.services.builds import find_build
from conda_store.services.context import Context
from conda_store.services.specifications import preferred_platform


@dataclass(frozen=True)
class EnvironmentOverview:
    """`current` is the active build, or the first one while none is; `newest` the one submitted last. `owner` is who
    submitted the first; `versions` are those of the packages that were looked for, `(name, version)` each."""

    environment: EnvironmentRecord
    current: BuildRecord | None
    newest: BuildRecord | None
    artifacts: frozenset[ArtifactType]
    owner: str | None = None
    versions: tuple[tuple[str, str], ...] = ()


def list_overviews(
    context: Context, actor: Actor, wanted: EnvironmentFilter, request: PageRequest
) -> Page[EnvironmentOverview]:
    """The environments that the actor may read, with their builds."""
    with context.database.read() as connection:
        page = environments.list_readable(connection, actor, wanted, request)
        ids = [row.id for row in page.rows]
        newest = overview.newest_builds(connection, ids)
        owners = overview.owners(connection, ids)
        versions = search.versions_found(connection, wanted.terms, ids)
        current = [row.current_build_id for row in page.rows if row.current_build_id is not None]
        known = builds.by_ids(connection, [*current, *newest.values()])
        artifacts = overview.offered_artifacts(connection, current)
    rows = tuple(
        EnvironmentOverview(
            row,
            known.get(row.current_build_id or 0),
            known.get(newest.get(row.id, 0)),
            artifacts.get(row.current_build_id or 0, frozenset()),
            owners.get(row.id),
            versions.get(row.id, ()),
        )
        for row in page.rows
    )
    return Page(rows, page.page, page.size, page.count)


def packages_of(context: Context, actor: Actor, build_id: int) -> PlatformLock | None:
    """The packages that a build consists of, or was to consist of; None while it has not been solved."""
    build = find_build(context, actor, build_id)
    if build.lock_digest is None:
        return None
    with context.database.read() as connection:
        return preferred_platform(locks.load(connection, build.lock_digest))


def compare(context: Context, actor: Actor, before: int, after: int) -> Difference:
    """What differs between the packages of two builds, both of which the actor may read.

    Raises:
        InvalidInput: one of them has not been solved.
    """
    return difference(_solved(context, actor, before), _solved(context, actor, after))


def _solved(context: Context, actor: Actor, build_id: int) -> PlatformLock:
    found = packages_of(context, actor, build_id)
    if found is None:
        raise InvalidInput(f"build {build_id} has not been solved", hint="Choose another build to compare.")
    return found
