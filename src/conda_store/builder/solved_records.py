"""From the records that rattler solves and reads to the lock's packages."""

from __future__ import annotations

import json
from typing import Any

from rattler import RepoDataRecord

from conda_store.domain.channel import without_credentials
from conda_store.domain.lock import CondaPackage


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
