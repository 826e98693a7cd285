"""What environments hold, for the search: names and versions of the packages of current builds, conda's and pip's."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, false, insert, or_, select, tuple_

from conda_store.db.portions import portions
from conda_store.db.tables import environment, environment_package, package_version
from conda_store.db.visibility import holds
from conda_store.domain.difference import Package
from conda_store.domain.lock import PlatformLock
from conda_store.domain.search import SearchTerm, WantedPackage


def index_installed(connection: Connection, environment_id: int, installed: PlatformLock | None) -> None:
    """Let an environment be found by the packages of its active build, and by no others."""
    packages: list[Package] = [*installed.conda, *installed.pypi] if installed else []
    wanted = {(package.name.lower(), package.version) for package in packages}
    known = _known(connection, sorted(wanted))
    missing = [{"name": name, "version": version} for name, version in sorted(wanted - known.keys())]
    if missing:
        connection.execute(insert(package_version), missing)
        known |= _known(connection, [(row["name"], row["version"]) for row in missing])
    connection.execute(delete(environment_package).where(environment_package.c.environment_id == environment_id))
    rows = [{"package_version_id": key, "environment_id": environment_id} for key in sorted(known.values())]
    if rows:
        connection.execute(insert(environment_package), rows)


def _known(connection: Connection, packages: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for some in portions(packages):
        query = select(package_version).where(tuple_(package_version.c.name, package_version.c.version).in_(some))
        found |= {(row.name, row.version): row.id for row in connection.execute(query)}
    return found


def meets(connection: Connection, term: SearchTerm, *, is_common: bool = False) -> ColumnElement[bool]:
    """A condition on `environment`; where it is met by many, it is quicker to look at one after the other."""
    ways = [and_(*(holds(environment.c.search_text, word) for word in term.words))] if term.words else []
    if ids := _ids(connection, term.package):
        ways.append(_holds_any(ids, is_common=is_common))
    return or_(false(), *ways)


def _ids(connection: Connection, wanted: WantedPackage) -> tuple[int, ...]:
    """All versions of the package that are wanted."""
    query = select(package_version.c.id, package_version.c.version).where(package_version.c.name == wanted.name)
    return tuple(row.id for row in connection.execute(query) if wanted.is_met_by(row.version))


def _holds_any(ids: Sequence[int], *, is_common: bool) -> ColumnElement[bool]:
    held = select(environment_package.c.environment_id).where(environment_package.c.package_version_id.in_(ids))
    if is_common:
        return exists(held.where(environment_package.c.environment_id == environment.c.id).correlate(environment))
    return environment.c.id.in_(held)


def search_text(namespace: str, name: str, description: str | None) -> str:
    """What words are looked for in."""
    return f"{namespace}/{name} {description or ''}".lower()


def versions_found(
    connection: Connection, terms: Sequence[SearchTerm], environment_ids: Sequence[int]
) -> dict[int, tuple[tuple[str, str], ...]]:
    """Of each environment the packages that were looked for, `(name, version)` each."""
    names = {term.package.name for term in terms}
    query = (
        select(environment_package.c.environment_id, package_version.c.name, package_version.c.version)
        .join(package_version, package_version.c.id == environment_package.c.package_version_id)
        .where(environment_package.c.environment_id.in_(environment_ids), package_version.c.name.in_(names))
        .order_by(package_version.c.name)
    )
    found: dict[int, tuple[tuple[str, str], ...]] = {}
    for row in connection.execute(query) if names and environment_ids else ():
        found[row.environment_id] = (*found.get(row.environment_id, ()), (row.name, row.version))
    return found
