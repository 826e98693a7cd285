"""Environments: listed, shown, switched to another build, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from conda_store.db import builds, environments, locks, roles, search, settings
from conda_store.db.environments import SORTABLE, EnvironmentFilter
from conda_store.db.paging import END_CURSOR, KeysetPage, Page, PageRequest, decode_cursor
from conda_store.db.records import EnvironmentRecord
from conda_store.domain.access import Actor, Target, not_there
from conda_store.domain.audit import about
from conda_store.domain.build import BuildStatus
from conda_store.domain.roles import Permission
from conda_store.errors import InvalidInput
from conda_store.services.context import Context
from conda_store.services.settings import effective_settings
from conda_store.services.specifications import preferred_platform


def list_environments(
    context: Context, actor: Actor, wanted: EnvironmentFilter, request: PageRequest
) -> Page[EnvironmentRecord]:
    with context.database.read() as connection:
        return environments.list_readable(connection, actor, wanted, request)


def list_environments_after(
    context: Context,
    actor: Actor,
    wanted: EnvironmentFilter,
    *,
    cursor: str | None,
    limit: int,
    sort_by: Sequence[str] = (),
    is_descending: bool = False,
) -> KeysetPage[EnvironmentRecord]:
    """
    Raises:
        InvalidInput: the cursor is not one of ours, or a column cannot be sorted by.
    """
    if any(name not in SORTABLE for name in sort_by):
        raise InvalidInput(f"Cannot sort results by {list(sort_by)}. Valid sort_by values are {list(SORTABLE)}")
    start = decode_cursor(cursor, sort_by) if cursor else END_CURSOR
    with context.database.read() as connection:
        return environments.list_readable_after(
            connection, actor, wanted, cursor=start, limit=limit, sort_by=sort_by, is_descending=is_descending
        )


def get_environment(context: Context, actor: Actor, namespace: str, name: str) -> EnvironmentRecord:
    actor.require(Permission.ENVIRONMENT_READ, Target(namespace, name))
    with context.database.read() as connection:
        found = environments.find(connection, namespace, name)
    if found is None:
        raise not_there(Target(namespace, name))
    return found


def get_default_environment(context: Context, actor: Actor, name: str) -> EnvironmentRecord:
    """An environment of the default namespace."""
    namespace = effective_settings(context.database, context.deployment).default_namespace
    return get_environment(context, actor, namespace, name)


def update_environment(
    context: Context,
    actor: Actor,
    namespace: str,
    name: str,
    *,
    build_id: int | None = None,
    description: str | None = None,
) -> None:
    """Switch to a completed build of this environment, or describe it anew.

    The choice outranks every build submitted before it; a worker sets the symlink.
    """
    actor.require(Permission.ENVIRONMENT_UPDATE, Target(namespace, name))
    with context.database.write() as connection:
        found = environments.find(connection, namespace, name)
        if found is None:
            raise not_there(Target(namespace, name))
        if description is not None:
            environments.set_description(connection, found, description)
        if build_id is None:
            return
        build = builds.get(connection, build_id)
        if build is None or not actor.sees(Target(build.namespace, build.environment)):
            raise InvalidInput(f"build id={build_id} does not exist")
        if build.environment_id != found.id:
            raise InvalidInput(
                "cannot update environment to build id since specification does not match environment name",
                hint=f"Build {build_id} belongs to another environment.",
            )
        if build.status is not BuildStatus.COMPLETED:
            raise InvalidInput(
                "cannot update environment to build id since not completed",
                hint=f"Build {build_id} is {build.status}.",
            )
        if build.deleted_on is not None:
            raise InvalidInput(f"cannot update environment to build id={build_id} since it has been deleted")
        about(f"build {build_id}")
        environments.activate(connection, found.id, build_id)
        if build.lock_digest is not None:
            lock = locks.load(connection, build.lock_digest)
            search.index_installed(connection, found.id, preferred_platform(lock))


def delete_environment(context: Context, actor: Actor, namespace: str, name: str) -> None:
    """The environment, its builds and all their artifacts go; its name is free at once."""
    actor.require(Permission.ENVIRONMENT_DELETE, Target(namespace, name))
    with context.database.write() as connection:
        found = environments.find(connection, namespace, name)
        if found is None:
            raise not_there(Target(namespace, name))
        environments.mark_deleted(connection, found.id, datetime.now(UTC))
        roles.forget_environment(connection, namespace, name)
        settings.forget(connection, namespace, name)
