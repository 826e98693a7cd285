"""What a deployment or namespace lets into its environments, and what it adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from conda_store.domain.channel import channel_url
from conda_store.domain.settings import Settings
from conda_store.domain.specification import Specification
from conda_store.errors import PolicyViolation

NameOf = Callable[[str], str]
"""The package name in a match spec or in a pip requirement."""


def apply_policy(
    specification: Specification, settings: Settings, *, conda_name: NameOf, pypi_name: NameOf
) -> Specification:
    """The specification as it is stored, hashed and solved: channels first, then pip, then conda.

    Raises:
        PolicyViolation: a channel is not allowed, or a required package is not asked for.
    """
    return _conda(_pypi(_channels(specification, settings), settings, pypi_name), settings, conda_name)


def _channels(specification: Specification, settings: Settings) -> Specification:
    channels = specification.channels or settings.conda_default_channels
    alias = settings.conda_channel_alias
    allowed = {channel_url(name, alias) for name in settings.conda_allowed_channels}
    refused = {name for name in channels if channel_url(name, alias) not in allowed}
    if allowed and refused:
        raise PolicyViolation(
            f"Conda channels {refused} not allowed in specification",
            hint=f"Allowed channels: {', '.join(settings.conda_allowed_channels)}.",
        )
    return replace(specification, channels=tuple(channels))


def _pypi(specification: Specification, settings: Settings, name_of: NameOf) -> Specification:
    pip = specification.pip
    if not specification.pip_requirements and settings.pypi_default_packages:
        pip = (*(pip or ()), *settings.pypi_default_packages)
    present = {name_of(line) for line in pip or () if not line.startswith("--")}
    missing = _missing(settings.pypi_included_packages, present, name_of)
    if missing:
        pip = (*(pip or ()), *missing)
        present |= {name_of(line) for line in missing}
    if required := _missing(settings.pypi_required_packages, present, name_of):
        raise PolicyViolation(f"PyPi packages {set(required)} required and missing from specification")
    return replace(specification, pip=pip)


def _conda(specification: Specification, settings: Settings, name_of: NameOf) -> Specification:
    dependencies = specification.dependencies
    if not dependencies and specification.pip is None:
        dependencies = settings.conda_default_packages
    present = {name_of(text) for text in dependencies}
    missing = _missing(settings.conda_included_packages, present, name_of)
    dependencies = (*dependencies, *missing)
    present |= {name_of(text) for text in missing}
    if required := _missing(settings.conda_required_packages, present, name_of):
        raise PolicyViolation(f"Conda packages {set(required)} required and missing from specification")
    return replace(specification, dependencies=tuple(dependencies))


def _missing(wanted: Iterable[str], present: set[str], name_of: NameOf) -> tuple[str, ...]:
    return tuple(text for text in wanted if name_of(text) not in present)
