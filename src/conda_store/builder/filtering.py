"""Keeping policies on packages: what they refuse is left out of a solve, and found in a lock that is handed in.

A channel under policies is a source that asks the gateway for the records of each name and passes on those that may be
used. That costs a call into Python for each name, so without policies the channels themselves are solved over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from rattler import (
    BuildString,
    MatchSpec,
    PackageName,
    PackageRecord,
    RepoDataRecord,
    Subdir,
    VersionWithSource,
)

from conda_store.builder.matchspecs import parse_match_spec, parse_requirement
from conda_store.domain.channel import channel_url, without_credentials
from conda_store.domain.lock import CondaPackage, Lock, PyPIPackage
from conda_store.domain.package_policy import PackagePolicy
from conda_store.errors import Refusal

_SHOWN_FOR_A_NAME = 2


class Records(Protocol):
    """Where the records of packages come from."""

    async def records(self, channel: str, subdir: str, name: str) -> Sequence[RepoDataRecord]:
        """All that a channel's subdir has of a package name; empty where there is none."""


@dataclass
class LeftOut:
    """What policies kept from a solve, by package name."""

    refusals: dict[str, list[Refusal]] = field(default_factory=lambda: defaultdict(list))

    def notes(self, names: Iterable[str]) -> list[str]:
        """The rules that kept packages of these names out, the newest packages first."""
        lines = []
        for name in names:
            found = sorted(self.refusals.get(name, ()), key=lambda refusal: _version(refusal.value), reverse=True)
            lines += [f"Left out by policy: {refusal}" for refusal in found[:_SHOWN_FOR_A_NAME]]
            if len(found) > _SHOWN_FOR_A_NAME:
                lines.append(f"and {len(found) - _SHOWN_FOR_A_NAME} more packages of {name}")
        return lines


class FilteredChannel:
    """One channel under policies: a source for rattler's solver.

    With strict priority a name that an `earlier` channel has, and of which policies leave nothing, is not taken from
    here instead: a public package could otherwise slip in for a private one that is too new.
    """

    def __init__(
        self,
        records: Records,
        url: str,
        names: Mapping[str, Sequence[str]],
        judge: Judge,
        left_out: LeftOut,
        earlier: Sequence[FilteredChannel] = (),
    ) -> None:
        self._records = records
        self._url = url
        self._names = names
        self._judge = judge
        self._left_out = left_out
        self._earlier = tuple(earlier)
        self._kept: dict[tuple[str, str], list[RepoDataRecord]] = {}
        self._emptied: dict[str, bool] = {}

    def package_names(self, platform: Subdir) -> list[str]:
        return list(self._names.get(str(platform), ()))

    async def fetch_package_records(self, platform: Subdir, name: PackageName) -> list[RepoDataRecord]:
        for channel in self._earlier:
            if await channel.has_only_refused(name.normalized):
                return []
        return await self._usable(str(platform), name.normalized)

    async def has_only_refused(self, name: str) -> bool:
        """Whether the channel has packages of the name, none of which may be used."""
        if name not in self._emptied:
            usable, found = 0, 0
            for subdir in self._names:
                usable += len(await self._usable(subdir, name))
                found += len(await self._records.records(self._url, subdir, name))
            self._emptied[name] = bool(found) and not usable
        return self._emptied[name]

    async def _usable(self, subdir: str, name: str) -> list[RepoDataRecord]:
        key = (subdir, name)
        if key not in self._kept:
            kept = []
            for record in await self._records.records(self._url, subdir, name):
                refusal = self._judge.record(record)
                if refusal is None:
                    kept.append(record)
                else:
                    self._left_out.refusals[name].append(refusal)
            self._kept[key] = kept
        return self._kept[key]


class Judge:
    """A policy with its match specs and requirements read."""

    def __init__(self, policy: PackagePolicy, alias: str) -> None:
        self._policy = policy
        self._conda = {text: _Forbidden(text, alias) for text in policy.conda_forbidden}
        self._pypi = {text: parse_requirement(text) for text in policy.pypi_forbidden}

    def record(self, record: RepoDataRecord) -> Refusal | None:
        shown = f"{record.name.normalized} {record.version} {record.build}"
        return self._conda_refusal(
            shown, record, record.license, record.indexed_timestamp or record.timestamp
        ) or self._policy.made_later(shown, record.timestamp)

    def locked(self, package: CondaPackage, record: RepoDataRecord | None) -> Refusal | None:
        """A package of a lock that was handed in, with the channel's record of it, None where there is none."""
        shown = f"{package.name} {package.version} {package.build}"
        if record is None:
            return self._conda_refusal(shown, _record_of(package), package.license, None)
        return self._conda_refusal(shown, record, record.license, record.indexed_timestamp or record.timestamp)

    def _conda_refusal(
        self, shown: str, record: RepoDataRecord, license: str | None, uploaded: datetime | None
    ) -> Refusal | None:
        policy = self._policy
        return (
            policy.forbidden_conda(shown, lambda text: self._conda[text].matches(record))
            or policy.refused_license(shown, license)
            or policy.too_new(shown, uploaded)
        )

    def distribution(self, package: PyPIPackage, *, is_age_known: bool) -> Refusal | None:
        """A pip package. Nobody says its licence before it is there; its age only where the index was asked for it."""
        shown = f"{package.name} {package.version}"
        return (
            self._policy.forbidden_pypi(shown, lambda text: self._means(text, package))
            or self._policy.refused_license(shown, None)
            or (None if is_age_known else self._policy.too_new(shown, None))
        )

    def _means(self, text: str, package: PyPIPackage) -> bool:
        requirement = self._pypi[text]
        if canonicalize_name(requirement.name) != canonicalize_name(package.name):
            return False
        try:
            return requirement.specifier.contains(Version(package.version), prereleases=True)
        except InvalidVersion:
            return True


def pypi_refusals(lock: Lock, judge: Judge, *, is_age_known: bool) -> tuple[Refusal, ...]:
    found = (judge.distribution(item, is_age_known=is_age_known) for part in lock.platforms for item in part.pypi)
    return tuple(dict.fromkeys(refusal for refusal in found if refusal is not None))


class _Forbidden:
    """A match spec; rattler does not look at the channel when it compares one with a record."""

    def __init__(self, text: str, alias: str) -> None:
        channel, is_named, rest = text.rpartition("::")
        self._spec: MatchSpec = parse_match_spec(rest)
        self._channel = without_credentials(channel_url(channel, alias)) if is_named else None

    def matches(self, record: RepoDataRecord) -> bool:
        channel = without_credentials(record.channel or "").rstrip("/")
        return (self._channel is None or channel == self._channel) and bool(self._spec.matches(record))


def _record_of(package: CondaPackage) -> RepoDataRecord:
    number, subdir = package.build_number, Subdir(package.subdir)
    build, version = BuildString(package.build), VersionWithSource(package.version)
    record = PackageRecord(PackageName(package.name), version, build, number, subdir, None, None)
    return RepoDataRecord(record, package.file_name, package.url, package.channel)


def _version(shown: str) -> Version:
    try:
        return Version(shown.split()[1])
    except (InvalidVersion, IndexError):
        return Version("0")
