"""Builds: listed, shown, tried again, cancelled, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from conda_store.db import artifacts, builds, images, leases, logs, packages, quotas, specifications
from conda_store.db import environments as stored_environments
from conda_store.db.builds import BuildFilter
from conda_store.db.packages import PackageFilter
from conda_store.db.paging import Page, PageRequest
from conda_store.db.records import (
    ArtifactRecord,
    BuildGlance,
    BuildPackageRecord,
    BuildRecord,
    LogChunk,
    SpecificationRecord,
)
from conda_store.domain.access import Actor, Target, not_there
from conda_store.domain.audit import about
from conda_store.domain.build import BuildOrigin, BuildStatus
from conda_store.domain.roles import Permission
from conda_store.domain.specification import stored_specification
from conda_store.errors import Conflict, InvalidInput, NotFound
from conda_store.services.context import Context
from conda_store.services.settings import rules_in_force
from conda_store.services.specifications import BUILD_QUOTAS, checked, require_quotas, require_room


def list_builds(context: Context, actor: Actor, wanted: BuildFilter, request: PageRequest) -> Page[BuildRecord]:
    """Deleted builds included, as long as their environment exists."""
    with context.database.read() as connection:
        return builds.list_readable(connection, actor, wanted, request)


def find_build(
    context: Context, actor: Actor, build_id: int, permission: Permission = Permission.ENVIRONMENT_READ
) -> BuildRecord:
    """A build, if the actor holds the permission on its environment; looking it up is part of the check.

    Raises:
        NotFound: there is none, or the actor may not see it.
        Forbidden: they may see it, but not do this.
    """
    with context.database.read() as connection:
        found = builds.get(connection, build_id)
    unseen = NotFound("build id does not exist", hint=f"There is no build {build_id}, or you may not see it.")
    if found is None:
        raise unseen
    actor.require(permission, Target(found.namespace, found.environment), unseen=unseen)
    if not permission.is_reading:
        about(f"build {build_id}")
    return found


@dataclass(frozen=True)
class Place:
    """Where a build stands that waits: how many wait that were submitted before it, how many are being built, and
    whether its namespace has as many running as it may."""

    before: int
    running: int
    is_namespace_full: bool


def place_in_queue(context: Context, actor: Actor, build_id: int) -> Place | None:
    """None for a build that does not wait."""
    found = find_build(context, actor, build_id)
    if found.status is not BuildStatus.QUEUED:
        return None
    with context.database.read() as connection:
        running = builds.count_by_status(connection).get(BuildStatus.BUILDING, 0)
        limits = quotas.build_limits(connection, context.deployment.settings.quota_concurrent_builds)
        is_full = quotas.waits(connection, found.environment_id, limits)
        return Place(builds.count_before(connection, build_id), running, is_full)


def get_build(
    context: Context, actor: Actor, build_id: int
) -> tuple[BuildRecord, SpecificationRecord, tuple[ArtifactRecord, ...]]:
    """A build with its specification and its artifacts, the parts of its image among them."""
    found = find_build(context, actor, build_id)
    with context.database.read() as connection:
        return (
            found,
            specifications.get(connection, found.specification_id),
            artifacts.of_build(connection, build_id) + images.parts_of_build(connection, build_id),
        )


def rebuild(context: Context, actor: Actor, build_id: int) -> int:
    """Queue another build of the same specification, to be solved anew; returns its id.

    Raises:
        PolicyViolation: it may not be built any more.
        QuotaExceeded: no room is left.
    """
    found = find_build(context, actor, build_id, Permission.ENVIRONMENT_UPDATE)
    rules = rules_in_force(context.database, context.deployment, found.namespace, found.environment)
    require_room(context, rules.settings, Permission.ENVIRONMENT_UPDATE)
    with context.database.read() as connection:
        stored = specifications.get(connection, found.specification_id)
    context.validators.require(found.namespace, Permission.ENVIRONMENT_UPDATE.value)
    context.validators.checked(found.namespace, checked(context, stored_specification(stored.spec), rules))
    with context.database.write() as connection:
        environment = stored_environments.find(connection, found.namespace, found.environment)
        if environment is None or environment.id != found.environment_id:
            raise not_there(Target(found.namespace, found.environment))
        require_quotas(connection, context.deployment, found.namespace, *BUILD_QUOTAS)
        specification = specifications.get(connection, found.specification_id)
        return builds.create(
            connection,
            environment,
            specification,
            datetime.now(UTC),
            context.deployment.build_key_version,
            actor.name,
            BuildOrigin.REBUILT,
        )


def cancel_build(context: Context, actor: Actor, build_id: int) -> None:
    """A waiting build is cancelled at once, a running one within a second.

    Raises:
        Conflict: it has ended already.
    """
    find_build(context, actor, build_id, Permission.BUILD_CANCEL)
    with context.database.write() as connection:
        status, is_new = leases.request_cancel(connection, build_id)
        if is_new:
            logs.append(connection, build_id, cancelled_text(build_id))
    if status in {BuildStatus.COMPLETED, BuildStatus.FAILED}:
        raise Conflict(f"build {build_id} has already ended: {status}")


def cancelled_text(build_id: int) -> str:
    return f"build {build_id} marked as CANCELED due to being canceled from the REST API\n"


def delete_build(context: Context, actor: Actor, build_id: int) -> None:
    """Its files go, except the kinds of artifacts that `build_artifacts_kept_on_deletion` names.

    Raises:
        InvalidInput: it has not ended.
    """
    found = find_build(context, actor, build_id, Permission.BUILD_DELETE)
    if not found.status.has_ended:
        raise InvalidInput("cannot delete build since not finished building", hint="Cancel it first, then delete it.")
    if found.deleted_on is None:
        with context.database.write() as connection:
            builds.mark_deleted(connection, build_id, datetime.now(UTC))


def list_packages(
    context: Context, actor: Actor, build_id: int, wanted: PackageFilter, request: PageRequest
) -> Page[BuildPackageRecord]:
    find_build(context, actor, build_id)
    with context.database.read() as connection:
        return packages.list_of_build(connection, build_id, wanted, request)


def log_after(context: Context, actor: Actor, build_id: int, sequence: int) -> tuple[BuildRecord, tuple[LogChunk, ...]]:
    """The build as it stands, and the chunks of its log behind `sequence` (0: all), while they are not yet a blob."""
    found = find_build(context, actor, build_id)
    with context.database.read() as connection:
        return found, logs.after(connection, build_id, sequence)


def glances(context: Context, build_ids: Sequence[int]) -> dict[int, BuildGlance]:
    """How builds stand, for those whom `find_build` has let see them already."""
    with context.database.read() as connection:
        return {glance.id: glance for glance in builds.glances(connection, build_ids)}
