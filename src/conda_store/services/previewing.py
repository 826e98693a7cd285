"""What would come of a specification, without a build."""

from __future__ import annotations

from dataclasses import dataclass

from conda_store.builder.ports import SolveRequest
from conda_store.db import builds, environments, locks
from conda_store.domain.access import Actor, Target
from conda_store.domain.difference import Difference, Package, difference
from conda_store.domain.lock import CondaPackage, PlatformLock
from conda_store.domain.names import parse_name
from conda_store.domain.roles import Permission
from conda_store.domain.settings import InForce
from conda_store.domain.specification import AnySpecification, Specification
from conda_store.errors import InvalidInput
from conda_store.services.context import Context
from conda_store.services.credentials import usable_credentials
from conda_store.services.settings import effective_settings, rules_in_force
from conda_store.services.solving import solve_once, solve_request
from conda_store.services.specifications import (
    Submission,
    checked,
    newest_build,
    preferred_platform,
    read_specification,
)


@dataclass(frozen=True)
class Preview:
    """The packages of this machine's platform; `size` is that of the downloads, in bytes. `difference` is to the
    active build, None where there is none."""

    packages: tuple[Package, ...]
    size: int
    difference: Difference | None


@dataclass(frozen=True)
class Meant:
    """What a specification would become a build of; `newest` is the environment's newest build, 0 for none."""

    namespace: str
    name: str
    newest: int


def check(context: Context, actor: Actor, submission: Submission) -> Meant:
    """Whether a specification would be accepted.

    Raises:
        InvalidSpecification, PolicyViolation, Forbidden: as for `submit`.
    """
    namespace, specification, _ = _checked(context, actor, submission)
    return Meant(namespace, specification.name, newest_build(context, actor, namespace, specification.name))


def may_create_in(actor: Actor, namespace: str) -> bool:
    """In the whole namespace, or under some name in it."""
    names = {binding.environment.replace("*", "a") for binding in actor.bindings}
    return any(actor.may(Permission.ENVIRONMENT_CREATE, Target(namespace, name)) for name in names)


def rules_of(context: Context, actor: Actor, namespace: str) -> InForce:
    """The settings that specifications of a namespace are held to.

    Raises:
        NotFound, Forbidden: the actor may not create environments there.
    """
    if not may_create_in(actor, namespace):
        actor.require(Permission.ENVIRONMENT_CREATE, Target(namespace))
    return rules_in_force(context.database, context.deployment, namespace)


def preview_request(context: Context, actor: Actor, submission: Submission) -> tuple[str, SolveRequest]:
    """The namespace, and what to solve.

    Raises:
        InvalidInput: it is a lock, which is taken as it is.
        InvalidSpecification, PolicyViolation, Forbidden: as for `submit`.
    """
    namespace, specification, rules = _checked(context, actor, submission)
    if not isinstance(specification, Specification):
        raise InvalidInput("a lock is taken as it is: there is nothing to solve", hint="Submit it to have it built.")
    credentials = usable_credentials(context, namespace)
    return namespace, solve_request(context, specification, rules, credentials=credentials)


async def preview(context: Context, actor: Actor, submission: Submission) -> Preview:
    """
    Raises:
        InvalidInput: it is a lock, which is taken as it is.
        InvalidSpecification, PolicyViolation, Forbidden: as for `submit`.
        BuildFailed: it cannot be solved, with the explanation.
    """
    namespace, request = preview_request(context, actor, submission)
    found = preferred_platform(await solve_once(context, request))
    if found is None:
        raise InvalidInput("it was solved for no platform", hint="Set conda_solve_platforms.")
    active = _active(context, actor, namespace, request.specification.name)
    return Preview(
        (*sorted(found.conda, key=lambda package: package.name), *found.pypi),
        sum(package.size or 0 for package in found.conda if isinstance(package, CondaPackage)),
        difference(active, found) if active else None,
    )


def _checked(context: Context, actor: Actor, submission: Submission) -> tuple[str, AnySpecification, InForce]:
    specification = read_specification(context, submission)
    home = effective_settings(context.database, context.deployment).default_namespace
    if actor.is_authenticated and actor.primary_namespace:
        home = actor.primary_namespace
    namespace = parse_name(submission.namespace or home, "namespace")
    actor.require(Permission.ENVIRONMENT_CREATE, Target(namespace, specification.name), is_new=True)
    rules = rules_in_force(context.database, context.deployment, namespace, specification.name)
    return namespace, checked(context, specification, rules), rules


def _active(context: Context, actor: Actor, namespace: str, name: str) -> PlatformLock | None:
    if not actor.may(Permission.ENVIRONMENT_READ, Target(namespace, name)):
        return None
    with context.database.read() as connection:
        environment = environments.find(connection, namespace, name)
        if environment is None or environment.current_build_id is None:
            return None
        build = builds.get(connection, environment.current_build_id)
        if build is None or build.lock_digest is None:
            return None
        return preferred_platform(locks.load(connection, build.lock_digest))
