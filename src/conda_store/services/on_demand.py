"""Environments that are asked for by the name of an image: `conda-store-dynamic/python.lt.3.13/numpy`.

Every part of the name is a match spec whose operator is written in letters. The environment belongs to the namespace
`conda-store-dynamic`; the same name means the same build for everybody, as long as that build is there.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from conda_store.db import builds, environments, images, overview
from conda_store.db.records import BuildRecord
from conda_store.domain.access import SYSTEM, Actor, Target
from conda_store.domain.build import BuildOrigin, BuildStatus
from conda_store.domain.on_demand import NAMESPACE, Wanted, parse_image_name
from conda_store.domain.roles import Permission
from conda_store.domain.specification import Specification
from conda_store.errors import Conflict, TooManyRequests
from conda_store.services.context import Context
from conda_store.services.settings import rules_in_force
from conda_store.services.specifications import Submission, checked, read_specification, submit_read

# so long a name that could not be built is answered with the reason, and not tried again
_FAILURES_ARE_KEPT = timedelta(minutes=5)
_HOUR = timedelta(hours=1)
_FURTHER_ATTEMPTS = 4
# one question at a time: who asks this server for the same at the same moment finds the build of the first
_asking = threading.Lock()


def require_read(context: Context, actor: Actor, environment: str) -> None:
    """
    Raises:
        Forbidden: the actor may not have the images of an environment that somebody has asked for by a name.
    """
    if not _is_meant(context, actor):
        actor.require(Permission.ENVIRONMENT_READ, Target(NAMESPACE, environment), is_new=True)


def request_build(context: Context, actor: Actor, name: str, until: str | None = None) -> int:
    """The id of the build that a name means; it is queued where nobody has asked for it yet.

    `until` is a day (`2026-01-31`): no package that was made later. A build that failed is tried again by those who ask
    some minutes later.

    Raises:
        Forbidden: the actor may not read what there is, or not have built what there is not.
        InvalidInput: the name asks for nothing, or what it asks for is not permitted.
        QuotaExceeded: the actor's namespace has had as many made as it may.
        TooManyRequests: those who have no permission of their own have asked for much in the last hour.
    """
    wanted = parse_image_name(name)
    require_read(context, actor, wanted.environment)
    specification = _specification(context, wanted, until)
    with _asking:
        for _ in range(_FURTHER_ATTEMPTS):
            with suppress(Conflict):  # another server was asked at the same moment
                return _known_or_new(context, actor, specification)
        return _known_or_new(context, actor, specification)


def _known_or_new(context: Context, actor: Actor, specification: Specification) -> int:
    known, newest_seen = _newest(context, specification)
    if known is not None and not _is_to_be_tried_again(known):
        return known.id
    _require_creation(context, actor, Target(NAMESPACE, specification.name))
    # the namespace is nobody's, so that nobody needs a permission on it
    return submit_read(
        context,
        SYSTEM,
        NAMESPACE,
        specification,
        newest_seen=newest_seen,
        origin=BuildOrigin.ON_DEMAND,
        requested_for=_whose_quota(actor),
    )


def _whose_quota(actor: Actor) -> str:
    """The namespace that it counts towards: a token may name any as its primary one, but only one that the actor sees
    can be theirs."""
    return actor.primary_namespace if actor.sees(Target(actor.primary_namespace)) else actor.name


def _is_meant(context: Context, actor: Actor) -> bool:
    return context.deployment.on_demand_for.includes(is_authenticated=actor.is_authenticated)


def _require_creation(context: Context, actor: Actor, target: Target) -> None:
    if actor.may(Permission.ENVIRONMENT_CREATE, target):
        return
    if not _is_meant(context, actor):
        actor.require(Permission.ENVIRONMENT_CREATE, target, is_new=True)
    limit = context.deployment.on_demand_per_hour
    with context.database.read() as connection:
        lately = builds.count_since(connection, target.namespace or "", datetime.now(UTC) - _HOUR)
    if lately >= limit:
        raise TooManyRequests(
            f"{lately} images of packages that nobody had asked for before were asked for within an hour, "
            f"and {limit} may be",
            hint="Ask later, or log in as somebody who may create environments there.",
            retry_after=60,
        )


def _specification(context: Context, wanted: Wanted, until: str | None) -> Specification:
    document = {"name": wanted.environment, "dependencies": list(wanted.match_specs)}
    read = read_specification(context, Submission(json.dumps(document).encode(), namespace=NAMESPACE))
    assert isinstance(read, Specification)
    return replace(read, platforms=(wanted.platform.value,) if wanted.platform else (), until=until)


def _newest(context: Context, wanted: Specification) -> tuple[BuildRecord | None, int]:
    """The newest build of this very specification: other parts may join to the same name. And the id of the newest of
    all that have the name; 0 for none."""
    rules = rules_in_force(context.database, context.deployment, NAMESPACE, wanted.name)
    sha256 = checked(context, wanted, rules).sha256
    with context.database.read() as connection:
        found = environments.find(connection, NAMESPACE, wanted.name)
        if found is None:
            return None, 0
        return images.newest_in(connection, found.id, sha256), overview.newest_build(connection, found.id)


def _is_to_be_tried_again(build: BuildRecord) -> bool:
    if not build.status.has_ended or build.status is BuildStatus.COMPLETED:
        return False
    ended = build.ended_on or build.scheduled_on
    return build.status is BuildStatus.CANCELED or datetime.now(UTC) - ended > _FAILURES_ARE_KEPT
