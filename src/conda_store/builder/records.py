"""Between the lock's packages and rattler's records, both ways."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rattler import NoArchType, PackageRecord, RepoDataRecord
from rattler.package.build_string import BuildString

from conda_store.domain.channel import without_credentials
from conda_store.domain.lock import CondaPackage
from conda_store.errors import BuildFailed


def install_records(packages: Iterable[CondaPackage]) -> list[RepoDataRecord]:
    """The records of the packages, in their order; about 10 µs each.

    Raises:
        BuildFailed: a package cannot be a record (version, file name, hash), as handed-in locks may have it.
    """
    return [install_record(package) for package in packages]


def install_record(package: CondaPackage) -> RepoDataRecord:
    try:
        return RepoDataRecord(_record(package), package.file_name, package.url, package.channel)
    except Exception as error:  # every part has an exception of its own
        raise BuildFailed(
            f"package {package.name} {package.version} of the lock cannot be installed: {error}",
            hint="Solve the specification again, or correct the lockfile that was handed in.",
        ) from error


def _record(package: CondaPackage) -> PackageRecord:
    modules = package.python_site_packages_path or ""
    if modules.startswith("/") or ".." in modules.split("/"):
        raise ValueError(f"its python_site_packages_path {modules[:200]!r} lies outside")
    record = PackageRecord(
        name=package.name,
        version=package.version,
        build=BuildString.new_unchecked(package.build),
        build_number=package.build_number,
        subdir=package.subdir,
        noarch=_noarch(package),
        depends=list(package.depends),
        constrains=list(package.constrains),
        sha256=bytes.fromhex(package.sha256) if package.sha256 else None,
        md5=bytes.fromhex(package.md5) if package.md5 else None,
        size=package.size,
        license=package.license,
        license_family=package.license_family,
        python_site_packages_path=package.python_site_packages_path,
    )
    if package.timestamp is not None:
        record.timestamp = datetime.fromtimestamp(package.timestamp / 1000, UTC)
    if package.track_features:
        record.track_features = list(package.track_features)
    return record


def _noarch(package: CondaPackage) -> NoArchType:
    if package.noarch == "python":
        return NoArchType("python")
    return NoArchType("generic" if package.noarch == "generic" else None)


def package_from_record(record: RepoDataRecord) -> CondaPackage:
    """The record as the lock keeps it: URLs without credentials, the channel without a slash at its end."""
    raw: dict[str, Any] = json.loads(record.to_json())
    noarch = raw.get("noarch")
    return CondaPackage(
        name=raw["name"],
        version=raw["version"],
        build=raw["build"],
        subdir=raw["subdir"],
        url=without_credentials(raw["url"]),
        channel=without_credentials(raw.get("channel") or "").rstrip("/"),
        build_number=raw.get("build_number", 0),
        md5=raw.get("md5"),
        sha256=raw.get("sha256"),
        size=raw.get("size"),
        depends=tuple(raw.get("depends") or ()),
        constrains=tuple(raw.get("constrains") or ()),
        license=raw.get("license"),
        license_family=raw.get("license_family"),
        noarch="generic" if noarch is True else noarch or None,
        timestamp=raw.get("timestamp"),
        track_features=_words(raw.get("track_features")),
        python_site_packages_path=raw.get("python_site_packages_path"),
    )


def _words(value: Any) -> tuple[str, ...]:
    """Track features are a list, or words with spaces or commas between them."""
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    return tuple(value or ())
