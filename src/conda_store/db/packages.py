"""The packages of builds (what channels hold is not kept here)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, insert, select

from conda_store.db.channels import ensure as ensure_channel
from conda_store.db.paging import Page, PageRequest, fetch_page
from conda_store.db.portions import portions
from conda_store.db.records import BuildPackageRecord, ChannelRecord
from conda_store.db.tables import build_conda_package, conda_channel, conda_package
from conda_store.db.visibility import holds
from conda_store.domain.lock import CondaPackage


@dataclass(frozen=True)
class PackageFilter:
    """`search` and `build` are parts of the name and of the build string; `exact` takes `search` as the name."""

    search: str | None = None
    is_exact: bool = False
    build: str | None = None


def has_all_packages(build_id: ColumnElement[Any], names: Sequence[str]) -> ColumnElement[bool]:
    """A condition: the build holds every one of the packages."""
    return and_(
        *(
            build_id.in_(
                select(build_conda_package.c.build_id).where(
                    build_conda_package.c.conda_package_id.in_(
                        select(conda_package.c.id).where(conda_package.c.name == name)
                    )
                )
            )
            for name in sorted(set(names))
        )
    )


def identity(package: CondaPackage) -> str:
    return hashlib.sha256(f"{package.url}\0{package.sha256 or package.md5}".encode()).hexdigest()


def set_packages(connection: Connection, build_id: int, packages: Sequence[CondaPackage]) -> None:
    """Record what a build consists of."""
    known = _known(connection, [identity(package) for package in packages])
    channels: dict[str, int] = {}
    missing = []
    for package in packages:
        if (key := identity(package)) in known:
            continue
        if package.channel not in channels:
            channels[package.channel] = ensure_channel(connection, package.channel)
        missing.append(
            {
                "channel_id": channels[package.channel],
                "name": package.name,
                "version": package.version,
                "build": package.build,
                "subdir": package.subdir,
                "license": package.license,
                "size": package.size,
                "identity": key,
            }
        )
    if missing:
        connection.execute(insert(conda_package), missing)
        known |= _known(connection, [row["identity"] for row in missing])
    rows = [{"build_id": build_id, "conda_package_id": package_id} for package_id in sorted(set(known.values()))]
    if rows:
        connection.execute(insert(build_conda_package), rows)


def _known(connection: Connection, identities: Sequence[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in portions(identities):
        query = select(conda_package.c.identity, conda_package.c.id).where(conda_package.c.identity.in_(some))
        found |= {row.identity: row.id for row in connection.execute(query)}
    return found


def list_of_build(
    connection: Connection, build_id: int, wanted: PackageFilter, request: PageRequest
) -> Page[BuildPackageRecord]:
    query = (
        select(conda_package, conda_channel.c.name.label("channel_name"))
        .join(build_conda_package, build_conda_package.c.conda_package_id == conda_package.c.id)
        .join(conda_channel, conda_channel.c.id == conda_package.c.channel_id)
        .where(build_conda_package.c.build_id == build_id)
    )
    if wanted.search and wanted.is_exact:
        query = query.where(conda_package.c.name == wanted.search)
    elif wanted.search:
        query = query.where(holds(conda_package.c.name, wanted.search.lower()))
    if wanted.build:
        query = query.where(holds(conda_package.c.build, wanted.build))
    sortable: dict[str, list[ColumnElement[Any]]] = {
        "channel": [conda_channel.c.name],
        "name": [conda_package.c.name],
    }
    return fetch_page(connection, _record, query, request, sortable, ["channel", "name"], tie=conda_package.c.id)


def _record(row: Any) -> BuildPackageRecord:
    channel = ChannelRecord(row.channel_id, row.channel_name, None)
    return BuildPackageRecord(row.id, channel, row.name, row.version, row.build, row.license)
