"""Quotas of namespaces: shown, and kept when builds are submitted and begun."""

from __future__ import annotations

from dataclasses import dataclass

from conda_store.db import builds, leases
from conda_store.db import quotas as stored
from conda_store.db.leases import Lease
from conda_store.domain.access import Actor, Target
from conda_store.domain.quota import Quota, quotas
from conda_store.domain.roles import Permission
from conda_store.errors import BuildTookTooLong
from conda_store.services.context import Context
from conda_store.services.settings import rules_in_force


def namespace_quotas(context: Context, actor: Actor, namespace: str) -> tuple[Quota, ...]:
    """What a namespace may use and what it uses.

    Raises:
        NotFound: the actor may not see it.
    """
    actor.require(Permission.NAMESPACE_READ, Target(namespace))
    rules = rules_in_force(context.database, context.deployment, namespace)
    with context.database.read() as connection:
        return quotas(rules, stored.used(connection, namespace))


@dataclass(frozen=True)
class Claim:
    """A build to be done within `seconds`, None for as long as it takes."""

    lease: Lease
    seconds: int | None


def claim_build(context: Context, owner: str) -> Claim | None:
    """The oldest build that waits, whose time has come, and whose namespace has not too many running already."""
    default = context.deployment.settings.quota_concurrent_builds
    with context.database.write() as connection:
        limits = stored.build_limits(connection, default)
        lease = leases.claim(connection, owner, context.deployment.lease, limits)
        build = builds.get(connection, lease.build_id) if lease else None
    if lease is None:
        return None
    namespace = build.namespace if build else None
    rules = rules_in_force(context.database, context.deployment, namespace)
    return Claim(lease, rules.settings.quota_build_seconds)


def took_too_long(seconds: int) -> BuildTookTooLong:
    return BuildTookTooLong(
        f"the build took longer than {seconds} seconds, which is all that its namespace may take (quota_build_seconds)",
        hint="Ask for less, or ask whoever runs conda-store for more time.",
    )
