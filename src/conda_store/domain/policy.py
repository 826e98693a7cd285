"""What a deployment or namespace lets into its environments, and what it adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from conda_store.domain.channel import channel_url, without_credentials
from conda_store.domain.lock import Lock
from conda_store.domain.names import normalized_distribution
from conda_store.domain.package_policy import PackagePolicy
from conda_store.domain.settings import InForce
from conda_store.domain.specification import Specification
from conda_store.errors import PolicyViolation, Refusal

NameOf = Callable[[str], str]
"""The package name in a match spec or in a pip requirement."""

POLICIES = (
    "conda_allowed_channels", "lockfiles_need_allowed_channels", "conda_default_channels", "conda_required_packages",
    "conda_included_packages", "conda_default_packages", "pypi_required_packages", "pypi_included_packages",
    "pypi_default_packages", "conda_forbidden_packages", "pypi_forbidden_packages", "forbidden_licenses",
    "allowed_licenses", "package_cooldown_days",
)  # fmt: skip
"""The settings that say what may be in an environment."""


def package_policy(rules: InForce) -> PackagePolicy:
    """The rules on packages among the settings."""
    settings = rules.settings
    return PackagePolicy(
        settings.conda_forbidden_packages,
        settings.pypi_forbidden_packages,
        settings.forbidden_licenses,
        settings.allowed_licenses,
        timedelta(days=settings.package_cooldown_days),
        tuple((name, rules.layer(name)) for name in POLICIES),
    )


def apply_policy(
    specification: Specification, rules: InForce, *, conda_name: NameOf, pypi_name: NameOf
) -> Specification:
    """The specification as it is stored, hashed and solved: channels first, then pip, then conda.

    Raises:
        PolicyViolation: a channel is not allowed, a required package is not asked for, or a forbidden one is.
    """
    applied = _channels(specification, rules)
    applied = _conda(_pypi(applied, rules, pypi_name), rules, conda_name)
    _refuse_forbidden(applied, rules, conda_name, pypi_name)
    return applied


def refuse_channels_of_lock(lock: Lock, rules: InForce) -> None:
    """
    Raises:
        PolicyViolation: a package of a lock that is handed in comes from a channel that is not allowed.
    """
    if not rules.settings.lockfiles_need_allowed_channels:
        return
    allowed = {without_credentials(url) for url in _allowed(rules)}
    used = {package.channel for platform in lock.platforms for package in platform.conda}
    _refuse_channels({url for url in used if url not in allowed}, "a package of the lock", rules)


def _allowed(rules: InForce) -> set[str]:
    alias = rules.settings.conda_channel_alias
    return {channel_url(name, alias) for name in rules.settings.conda_allowed_channels}


def _refuse_channels(refused: set[str], where: str, rules: InForce) -> None:
    names = rules.settings.conda_allowed_channels
    if not names or not refused:
        return
    rule = "conda_allowed_channels"
    raise PolicyViolation(
        f"Conda channels {refused} not allowed in {where}",
        hint=f"Allowed channels: {', '.join(names)} ({rule}, set for {rules.layer(rule)}).",
        refusals=tuple(
            Refusal(rule, rules.layer(rule), name, "the channel is not allowed") for name in sorted(refused)
        ),
    )


def _channels(specification: Specification, rules: InForce) -> Specification:
    # what conda needs to be told not to add channels, where none are added
    named = [name for name in specification.channels if name != "nodefaults"]
    channels = named or rules.settings.conda_default_channels
    alias, allowed = rules.settings.conda_channel_alias, _allowed(rules)
    # `channel::package` names one as well, though the solver takes only what is listed
    _refuse_channels({name for name in channels if channel_url(name, alias) not in allowed}, "specification", rules)
    return replace(specification, channels=tuple(channels))


def _pypi(specification: Specification, rules: InForce, name_of: NameOf) -> Specification:
    settings = rules.settings
    pip = specification.pip
    if not specification.pip_requirements and settings.pypi_default_packages:
        pip = (*(pip or ()), *settings.pypi_default_packages)
    present = {name_of(line) for line in pip or () if not line.startswith("--")}
    missing = _missing(settings.pypi_included_packages, present, name_of)
    if missing:
        pip = (*(pip or ()), *missing)
        present |= {name_of(line) for line in missing}
    _refuse_missing("PyPi", "pypi_required_packages", settings.pypi_required_packages, present, name_of, rules)
    return replace(specification, pip=pip)


def _conda(specification: Specification, rules: InForce, name_of: NameOf) -> Specification:
    settings = rules.settings
    dependencies = specification.dependencies
    if not dependencies and specification.pip is None:
        dependencies = settings.conda_default_packages
    present = {name_of(text) for text in dependencies}
    missing = _missing(settings.conda_included_packages, present, name_of)
    dependencies = (*dependencies, *missing)
    present |= {name_of(text) for text in missing}
    _refuse_missing("Conda", "conda_required_packages", settings.conda_required_packages, present, name_of, rules)
    return replace(specification, dependencies=tuple(dependencies))


def _missing(wanted: Iterable[str], present: set[str], name_of: NameOf) -> tuple[str, ...]:
    return tuple(text for text in wanted if name_of(text) not in present)


def _refuse_missing(
    kind: str, rule: str, required: Iterable[str], present: set[str], name_of: NameOf, rules: InForce
) -> None:
    missing = _missing(required, present, name_of)
    if missing:
        raise PolicyViolation(
            f"{kind} packages {set(missing)} required and missing from specification",
            hint=f"Add them to the specification ({rule}, set for {rules.layer(rule)}).",
            refusals=tuple(
                Refusal(rule, rules.layer(rule), text, "it is required and not asked for") for text in missing
            ),
        )


def _refuse_forbidden(specification: Specification, rules: InForce, conda_name: NameOf, pypi_name: NameOf) -> None:
    """What is forbidden whatever its version is told now; the rest is left out when it is solved."""
    policy = package_policy(rules)
    refusals = []
    if policy.conda_forbidden:
        for text in specification.dependencies:
            refusals.append(policy.forbidden_conda(text, partial(_is_name, conda_name(text), conda_name)))
    if policy.pypi_forbidden:
        for text in specification.pip_requirements:
            refusals.append(policy.forbidden_pypi(text, partial(_is_name, pypi_name(text), pypi_name)))
    refuse([refusal for refusal in refusals if refusal is not None])


def _is_name(name: str, name_of: NameOf, pattern: str) -> bool:
    """Whether the pattern forbids the package whatever its version: it is a name and nothing else."""
    return name_of(pattern) == name and normalized_distribution(pattern.strip()) == normalized_distribution(name)


def refuse(refusals: Iterable[Refusal]) -> None:
    """
    Raises:
        PolicyViolation: there are any.
    """
    found = tuple(refusals)
    if found:
        shown = [str(refusal) for refusal in found[:10]]
        if len(found) > 10:
            shown.append(f"and {len(found) - 10} more")
        raise PolicyViolation(
            "Policies do not permit " + "; ".join(shown),
            hint="Ask for other packages, or ask whoever runs conda-store to change the policy.",
            refusals=found,
        )
