"""Environments that are asked for by the name of an image: `conda-store-dynamic/python.lt.3.13/numpy`.

Every part of the name is a match spec whose operator is written in letters. The environment belongs to the namespace
`conda-store-dynamic`; the same name means the same build for everybody, as long as that build is there.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from conda_store.db import environments, images
from conda_store.db.records import BuildRecord
from conda_store.domain.access import SYSTEM, Actor, Permission, Target
from conda_store.domain.build import BuildStatus
from conda_store.errors import InvalidInput
from conda_store.services.context import Context
from conda_store.services.settings import effective_settings
from conda_store.services.specifications import Submission, checked, read_specification, submit

NAMESPACE = "conda-store-dynamic"
_OPERATORS = {".gt.": ">", ".ge.": ">=", ".lt.": "<", ".le.": "<=", ".eq.": "==", ".ne.": "!="}
# so long a name that could not be built is answered with the reason, and not tried again
_FAILURES_ARE_KEPT = timedelta(minutes=5)
# one question at a time: who asks for the same at the same moment finds the build of the first
_asking = threading.Lock()


@dataclass(frozen=True)
class Wanted:
    """What a name asks for: `environment` is its parts joined, `match_specs` are sorted."""

    environment: str
    match_specs: tuple[str, ...]


def is_on_demand(name: str) -> bool:
    return name.startswith(f"{NAMESPACE}/")


def parse_image_name(name: str) -> Wanted:
    """
    Raises:
        InvalidInput: a part of the name is empty, or there is none.
    """
    parts = name.split("/")[1:]
    if not parts or not all(parts):
        raise InvalidInput(
            f"the name {name[:200]!r} asks for no packages",
            hint=f"Ask for example for {NAMESPACE}/python.lt.3.13/numpy.",
        )
    return Wanted("-".join(parts), tuple(sorted(_match_spec(part) for part in parts)))


def _match_spec(part: str) -> str:
    for letters, operator in _OPERATORS.items():
        part = part.replace(letters, operator)
    return part


def request_build(context: Context, actor: Actor, name: str) -> int:
    """The id of the build that a name means; it is queued where nobody has asked for it yet.

    A build that failed is tried again by those who ask some minutes later.

    Raises:
        Forbidden: the actor may not read what there is, or not have built what there is not.
        InvalidInput: the name asks for nothing, or what it asks for is not permitted.
    """
    wanted = parse_image_name(name)
    target = Target(NAMESPACE, wanted.environment)
    actor.require(Permission.ENVIRONMENT_READ, target, is_new=True)
    document = {"name": wanted.environment, "dependencies": list(wanted.match_specs)}
    submission = Submission(json.dumps(document).encode(), namespace=NAMESPACE)
    with _asking:
        known = _newest(context, wanted, submission)
        if known is not None and not _is_to_be_tried_again(known):
            return known.id
        actor.require(Permission.ENVIRONMENT_CREATE, target, is_new=True)
        # the namespace is nobody's, so that nobody needs a permission on it
        return submit(context, SYSTEM, submission)


def _newest(context: Context, wanted: Wanted, submission: Submission) -> BuildRecord | None:
    """The newest build of this very specification: other parts may join to the same name."""
    settings = effective_settings(context.database, context.deployment, NAMESPACE, wanted.environment)
    specification = checked(context, read_specification(context, submission), settings)
    with context.database.read() as connection:
        found = environments.find(connection, NAMESPACE, wanted.environment)
        return images.newest_in(connection, found.id, specification.sha256) if found is not None else None


def _is_to_be_tried_again(build: BuildRecord) -> bool:
    if not build.status.has_ended or build.status is BuildStatus.COMPLETED:
        return False
    ended = build.ended_on or build.scheduled_on
    return build.status is BuildStatus.CANCELED or datetime.now(UTC) - ended > _FAILURES_ARE_KEPT
