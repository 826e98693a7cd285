"""Which packages may not be in an environment: the rules that a solve, or a lock that is handed in, has to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from conda_store.domain.licenses import is_among, is_forbidden
from conda_store.domain.settings import DEPLOYMENT
from conda_store.errors import Refusal

Matches = Callable[[str], bool]
"""Whether the package is one of those that a match spec, or a pip requirement, means."""


@dataclass(frozen=True)
class PackagePolicy:
    """Rules on packages. `cooldown` is how old an upload has to be. `layers` says which layer of settings sets a rule.

    `until` is no rule of anybody, but what the specification asks for: a day (`2026-01-31`, UTC) after which no package
    may have been made.

    Licences are patterns with `*`; an empty list of allowed ones allows all.
    """

    conda_forbidden: tuple[str, ...] = ()
    pypi_forbidden: tuple[str, ...] = ()
    forbidden_licenses: tuple[str, ...] = ()
    allowed_licenses: tuple[str, ...] = ()
    cooldown: timedelta = timedelta(0)
    layers: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    until: str | None = None

    @property
    def needs_records(self) -> bool:
        """Whether more than name and version of a conda package has to be known."""
        return bool(self.forbidden_licenses or self.allowed_licenses or self.cooldown or self.until)

    @property
    def judges_conda(self) -> bool:
        return bool(self.conda_forbidden) or self.needs_records

    def question(self) -> dict[str, Any]:
        """What a solve depends on."""
        return {
            "forbidden": [self.conda_forbidden, self.pypi_forbidden],
            "licenses": [self.forbidden_licenses, self.allowed_licenses],
            "cooldown": self.cooldown.total_seconds(),
            "until": self.until,
        }

    def refusal(self, rule: str, value: str, why: str) -> Refusal:
        return Refusal(rule, dict(self.layers).get(rule, DEPLOYMENT), value, why)

    def forbidden_conda(self, package: str, matches: Matches) -> Refusal | None:
        return self._forbidden("conda_forbidden_packages", self.conda_forbidden, package, matches)

    def forbidden_pypi(self, package: str, matches: Matches) -> Refusal | None:
        return self._forbidden("pypi_forbidden_packages", self.pypi_forbidden, package, matches)

    def _forbidden(self, rule: str, patterns: tuple[str, ...], package: str, matches: Matches) -> Refusal | None:
        found = next((text for text in patterns if matches(text)), None)
        return self.refusal(rule, package, f"`{found}` is forbidden") if found is not None else None

    def refused_license(self, package: str, license: str | None) -> Refusal | None:
        shown = f"its licence {license!r}" if license else "its licence, which is unknown,"
        if is_forbidden(license, self.forbidden_licenses):
            return self.refusal("forbidden_licenses", package, f"{shown} is forbidden")
        if self.allowed_licenses and not is_among(license, self.allowed_licenses):
            return self.refusal("allowed_licenses", package, f"{shown} is not allowed")
        return None

    def made_later(self, package: str, made: datetime | None) -> Refusal | None:
        """By the time that the package itself names, which a mirror that takes it up later does not change."""
        if self.until is None or made is None or made.astimezone(UTC).date().isoformat() <= self.until:
            return None
        return Refusal("until", "specification", package, f"it was made on {made:%Y-%m-%d}, after {self.until}")

    def too_new(self, package: str, uploaded: datetime | None, now: datetime | None = None) -> Refusal | None:
        """A package of unknown age is too new."""
        if not self.cooldown:
            return None
        days = f"{self.cooldown.days} day{'' if self.cooldown.days == 1 else 's'}"
        rule = "package_cooldown_days"
        if uploaded is None:
            return self.refusal(rule, package, f"its age is unknown, and it has to be {days} old")
        if uploaded <= (now or datetime.now(UTC)) - self.cooldown:
            return None
        return self.refusal(rule, package, f"it is of {uploaded:%Y-%m-%d %H:%M} UTC and has to be {days} old")
