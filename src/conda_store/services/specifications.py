"""Handing in specifications, solving them, and finding them again."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime

from conda_store.db import builds, editors, environments, namespaces, overview, quotas, specifications
from conda_store.db import settings as stored_settings
from conda_store.db.engine import Connection
from conda_store.db.paging import Page, PageRequest
from conda_store.db.records import SpecificationRecord
from conda_store.domain.access import SYSTEM, Actor, Target
from conda_store.domain.audit import about
from conda_store.domain.build import BuildOrigin
from conda_store.domain.conda_lock import lock_from_document
from conda_store.domain.credential import NO_CREDENTIALS
from conda_store.domain.deployment import Deployment
from conda_store.domain.lock import Lock, PlatformLock
from conda_store.domain.names import parse_name
from conda_store.domain.platform import Platform, current_platform
from conda_store.domain.policy import apply_policy, refuse_channels_of_lock
from conda_store.domain.quota import require_quota
from conda_store.domain.roles import Permission
from conda_store.domain.settings import InForce, Settings, in_force
from conda_store.domain.specification import AnySpecification, LockfileSpecification, Specification
from conda_store.errors import Conflict, InvalidSpecification, NotFound, QuotaExceeded
from conda_store.services.auditing import by_itself
from conda_store.services.context import Context
from conda_store.services.credentials import usable_credentials
from conda_store.services.settings import effective_settings, rules_in_force
from conda_store.services.solving import solve_once, solve_request

BUILD_QUOTAS = ("quota_builds", "quota_bytes")


@dataclass(frozen=True)
class Submission:
    """A specification as it was handed in. `format` None: found out from the text.

    `environment_name` and `environment_description` serve formats that have neither. `newest_seen` is the id of the
    newest build that whoever edits has seen, 0 for none; None: they do not mind what others did meanwhile.
    """

    text: bytes
    namespace: str | None = None
    format: str | None = None
    environment_name: str | None = None
    environment_description: str | None = None
    newest_seen: int | None = None


def submit(context: Context, actor: Actor, submission: Submission) -> int:
    """Queue a build of a specification, in an environment that is made if need be; returns the build's id.

    Raises:
        InvalidSpecification: with every problem found.
        PolicyViolation: a setting of the namespace forbids it.
        QuotaExceeded: no room is left.
        Forbidden: the actor may not create environments there.
        Conflict: there is a build that is newer than `newest_seen`.
    """
    specification = read_specification(context, submission)
    namespace = parse_name(submission.namespace or _home(context, actor), "namespace")
    return submit_read(context, actor, namespace, specification, submission.newest_seen)


def submit_read(
    context: Context,
    actor: Actor,
    namespace: str,
    specification: AnySpecification,
    newest_seen: int | None = None,
    origin: BuildOrigin = BuildOrigin.SUBMITTED,
    requested_for: str | None = None,
) -> int:
    """`submit` of a specification that has been read. `requested_for` is the namespace whose quota of images by names
    of packages it counts towards."""
    target = Target(namespace, specification.name)
    actor.require(Permission.ENVIRONMENT_CREATE, target, is_new=True)
    rules = rules_in_force(context.database, context.deployment, namespace, specification.name)
    context.validators.require(namespace, Permission.ENVIRONMENT_CREATE.value)
    wanted = context.validators.checked(namespace, checked(context, specification, rules))
    return _queue(context, actor, namespace, wanted, rules.settings, origin, newest_seen, requested_for)


def submit_watched(context: Context, text: bytes, file_name: str) -> int | None:
    """Queue a build for a watched file unless this very specification was built already; None then."""
    specification = read_specification(context, Submission(text, environment_name=file_name))
    namespace = effective_settings(context.database, context.deployment).filesystem_namespace
    rules = rules_in_force(context.database, context.deployment, namespace, specification.name)
    context.validators.require(namespace, Permission.ENVIRONMENT_CREATE.value)
    specification = context.validators.checked(namespace, checked(context, specification, rules))
    with context.database.read() as connection:
        found = environments.find(connection, namespace, specification.name)
        if found and specifications.has_build_in(connection, specification.sha256, found.id):
            return None
    with by_itself():
        SYSTEM.require(Permission.ENVIRONMENT_CREATE, Target(namespace, specification.name))
        return _queue(context, SYSTEM, namespace, specification, rules.settings, BuildOrigin.WATCHED)


def read_specification(context: Context, submission: Submission) -> AnySpecification:
    """The specification in a submission's text.

    Raises:
        InvalidSpecification: with line or path of each problem.
    """
    specification = context.builder.read(submission.text, format=submission.format, name=submission.environment_name)
    if isinstance(specification, LockfileSpecification) and submission.environment_description is not None:
        return LockfileSpecification(specification.name, specification.lockfile, submission.environment_description)
    return specification


def checked(context: Context, specification: AnySpecification, rules: InForce) -> AnySpecification:
    """The specification as it will be stored: its grammar checked, the policies applied.

    Of a lock it is checked where its packages come from; the packages are judged when it is built, by what the
    channels tell of them.

    Raises:
        InvalidSpecification, PolicyViolation: with all that is wrong.
    """
    if isinstance(specification, LockfileSpecification):
        refuse_channels_of_lock(lock_from_document(specification.lockfile), rules)
        return specification
    if problems := context.builder.problems(specification):
        raise InvalidSpecification(problems)
    return apply_policy(
        specification, rules, conda_name=context.builder.conda_name, pypi_name=context.builder.pypi_name
    )


def _home(context: Context, actor: Actor) -> str:
    if actor.is_authenticated and actor.primary_namespace:
        return actor.primary_namespace
    return effective_settings(context.database, context.deployment).default_namespace


def _queue(
    context: Context,
    actor: Actor,
    namespace: str,
    specification: AnySpecification,
    settings: Settings,
    origin: BuildOrigin,
    newest_seen: int | None = None,
    requested_for: str | None = None,
) -> int:
    require_room(context, settings, Permission.ENVIRONMENT_CREATE)
    now = datetime.now(UTC)
    with context.database.write() as connection:
        home = namespaces.find(connection, namespace)
        if home is None:
            actor.require(Permission.NAMESPACE_CREATE, Target(namespace), is_new=True)
            home = namespaces.create(connection, namespace)
        environment = environments.find(connection, namespace, specification.name)
        require_quotas(connection, context.deployment, namespace, *BUILD_QUOTAS)
        if environment is None:
            require_quotas(connection, context.deployment, namespace, "quota_environments")
            environment = environments.create(connection, home, specification.name, specification.description)
            if requested_for is not None:
                require_quotas(connection, context.deployment, requested_for, "quota_on_demand_images")
                quotas.set_requested_for(connection, environment.id, requested_for)
        elif newest_seen is not None and (newest := overview.newest_build(connection, environment.id)) > newest_seen:
            raise Conflict(
                f"build {newest} of {namespace}/{specification.name} was submitted while you were editing",
                hint="Look at it first; submit again to have yours built nevertheless.",
            )
        if specification.description and specification.description != environment.description:
            environments.set_description(connection, environment, specification.description)
        stored = specifications.ensure(connection, specification, now)
        version = context.deployment.build_key_version
        build_id = builds.create(connection, environment, stored, now, version, actor.name, origin)
        about(f"build {build_id}{_cause(origin, requested_for)}", specification.name)
        editors.leave(connection, environment.id, actor.identity)
        if environment.current_build_id is None:
            environments.set_current(connection, environment.id, build_id)
    return build_id


def _cause(origin: BuildOrigin, requested_for: str | None) -> str:
    """For the audit log, where the service itself is the actor."""
    if origin is BuildOrigin.WATCHED:
        return ", of a watched file"
    return f", an image that somebody of {requested_for} asked for" if requested_for is not None else ""


def newest_build(context: Context, actor: Actor, namespace: str, name: str) -> int:
    """The id of the newest build of an environment; 0 for none, or where the actor may not read it."""
    if not actor.may(Permission.ENVIRONMENT_READ, Target(namespace, name)):
        return 0
    with context.database.read() as connection:
        found = environments.find(connection, namespace, name)
        return overview.newest_build(connection, found.id) if found else 0


def require_quotas(connection: Connection, deployment: Deployment, namespace: str, *names: str) -> None:
    """Whether a namespace may have more of what these quotas count: in the transaction that makes it, so that nobody
    comes between.

    Raises:
        QuotaExceeded: it may not.
    """
    rules = in_force(deployment.settings, *stored_settings.layers(connection, namespace))
    require_quota(namespace, rules, quotas.used(connection, namespace), *names)


def require_room(context: Context, settings: Settings, permission: Permission) -> None:
    """
    Raises:
        QuotaExceeded: less disk is free than `storage_threshold` asks for.
    """
    directory = context.deployment.store_directory
    while not directory.exists():
        directory = directory.parent
    if shutil.disk_usage(directory).free < settings.storage_threshold:
        raise QuotaExceeded(
            f"`CondaStore.storage_threshold` reached. Action {permission} prevented due to insufficient storage space",
            hint="Delete builds that nobody needs, or lower the setting storage_threshold.",
        )


@dataclass(frozen=True)
class SolveQuestion:
    """What to solve without building. No platforms: those of the settings."""

    channels: tuple[str, ...] = ()
    conda: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()


async def solve(context: Context, actor: Actor, question: SolveQuestion) -> Lock:
    """The packages that a build would consist of; answered from the cache where the channels have not changed.

    Raises:
        Forbidden: the actor may solve nowhere.
        InvalidSpecification, PolicyViolation: as for `submit`.
        Unsolvable: with the explanation.
    """
    actor.require_somewhere(Permission.ENVIRONMENT_SOLVE)
    namespace = _home(context, actor)
    rules = rules_in_force(context.database, context.deployment, namespace)
    wanted = Specification("solve", question.channels, question.conda, question.pip or None)
    specification = checked(context, wanted, rules)
    assert isinstance(specification, Specification)
    # a token may name any namespace as its own: the credentials there are for those who may build in it
    may_use = actor.may(Permission.ENVIRONMENT_CREATE, Target(namespace))
    credentials = usable_credentials(context, namespace) if may_use else NO_CREDENTIALS
    return await solve_once(context, solve_request(context, specification, rules, question.platforms, credentials))


def preferred_platform(lock: Lock) -> PlatformLock | None:
    """Of a lock for several platforms the one to show: ours, else the first."""
    return lock.on(current_platform()) or next(iter(lock.platforms), None)


def list_specifications(context: Context, actor: Actor, request: PageRequest) -> Page[SpecificationRecord]:
    with context.database.read() as connection:
        return specifications.list_readable(connection, actor, request)


def get_specification(context: Context, actor: Actor, sha256: str) -> SpecificationRecord:
    """A specification by its hash, if the actor may read an environment that was built from it."""
    with context.database.read() as connection:
        found = specifications.find_readable(connection, actor, sha256)
    if found is None:
        raise NotFound("specification does not exist")
    return found
