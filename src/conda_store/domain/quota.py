"""How much a namespace may use."""

from __future__ import annotations

from dataclasses import dataclass

from conda_store.domain.settings import InForce
from conda_store.errors import QuotaExceeded, Refusal


@dataclass(frozen=True)
class Used:
    """What a namespace uses: environments, builds that are kept, bytes of their files, builds that are running, and
    images by names of packages that its members were the first to ask for."""

    environments: int = 0
    builds: int = 0
    bytes: int = 0
    concurrent_builds: int = 0
    on_demand_images: int = 0


@dataclass(frozen=True)
class Quota:
    """`limit` None: as much as there is. `used` None: it is not a sum, but holds for each build."""

    name: str
    limit: int | None
    used: int | None
    layer: str


_WHAT = {
    "quota_environments": "environments",
    "quota_builds": "builds",
    "quota_bytes": "bytes",
    "quota_on_demand_images": "images by names of packages",
}
_WHAT_TO_DO = "Delete what nobody needs, or ask whoever runs conda-store for more."


def quotas(rules: InForce, used: Used) -> tuple[Quota, ...]:
    """What may be used and what is."""
    settings = rules.settings
    found = (
        ("quota_environments", settings.quota_environments, used.environments),
        ("quota_builds", settings.quota_builds, used.builds),
        ("quota_bytes", settings.quota_bytes, used.bytes),
        ("quota_concurrent_builds", settings.quota_concurrent_builds, used.concurrent_builds),
        ("quota_build_seconds", settings.quota_build_seconds, None),
        ("quota_on_demand_images", settings.quota_on_demand_images, used.on_demand_images),
    )
    return tuple(Quota(name, limit, amount, rules.layer(name)) for name, limit, amount in found)


def require_quota(namespace: str, rules: InForce, used: Used, *names: str) -> None:
    """
    Raises:
        QuotaExceeded: of one of these there may be no more.
    """
    reached = [
        quota
        for quota in quotas(rules, used)
        if quota.name in names and quota.limit is not None and quota.used is not None and quota.used >= quota.limit
    ]
    if reached:
        listed = ", ".join(
            f"{quota.used} of {quota.limit} {_WHAT[quota.name]} ({quota.name}, set for {quota.layer})"
            for quota in reached
        )
        raise QuotaExceeded(
            f"The quota of namespace {namespace} is used up: {listed}",
            hint=_WHAT_TO_DO,
            refusals=tuple(
                Refusal(quota.name, quota.layer, namespace, f"{quota.used} of {quota.limit} are used")
                for quota in reached
            ),
        )
