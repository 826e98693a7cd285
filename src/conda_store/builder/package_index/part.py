"""A part: what the index keeps of one repodata.json.

Tables: `meta` (one row), `version` and `license` (every text once), `package` (one row for each name and version, the
rows of a name together, names ascending; `builds` are its build strings in lower case, one a line).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rattler import PackageFormatSelection, PackageName, SparseRepoData

from conda_store.builder.package_index.layout import replacing
from conda_store.builder.package_index.readers import opened

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE meta(channel TEXT, subdir TEXT, state TEXT, records INTEGER, unreadable INTEGER, updated_at TEXT);
CREATE TABLE version(id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE license(id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE package(name TEXT NOT NULL, version INTEGER NOT NULL, license INTEGER, builds TEXT NOT NULL);
"""

_PackageValues = tuple[str, int, int | None, str]


@dataclass(frozen=True)
class PartMeta:
    """`state` is a digest (or the like) of the repodata that the part was made of."""

    path: Path
    channel: str
    subdir: str
    state: str
    records: int
    unreadable: int
    updated_at: datetime


def read_meta(path: Path) -> PartMeta | None:
    """What a part says of itself; None where there is none that can be read."""
    try:
        with opened(path) as connection:
            row = connection.execute(
                "SELECT channel, subdir, state, records, unreadable, updated_at FROM meta"
            ).fetchone()
    except sqlite3.Error:
        return None
    if row is None:
        return None
    channel, of_subdir, state, records, unreadable, updated_at = row
    return PartMeta(path, channel, of_subdir, state, records, unreadable, datetime.fromisoformat(updated_at))


def write_part(path: Path, channel: str, subdir: str, state: str, repodata: SparseRepoData) -> None:
    """Write the part for the repodata; memory stays at one name's records and the distinct texts."""
    with replacing(path) as staging, contextlib.closing(sqlite3.connect(staging)) as connection:
        connection.executescript(_SCHEMA)
        reader = _Reader(repodata)
        with connection:
            connection.executemany("INSERT INTO package VALUES (?, ?, ?, ?)", reader.packages())
            for table, texts in (("version", reader.versions), ("license", reader.licenses)):
                connection.executemany(f"INSERT INTO {table}(text, id) VALUES (?, ?)", texts.items())
            connection.execute(
                "INSERT INTO meta VALUES (?, ?, ?, ?, ?, ?)",
                (channel, subdir, state, reader.records, reader.unreadable, datetime.now(UTC).isoformat()),
            )


class _Reader:
    """Goes through repodata name by name; texts that come again and again become numbers."""

    def __init__(self, repodata: SparseRepoData) -> None:
        self.repodata = repodata
        self.versions: dict[str, int] = {}
        self.licenses: dict[str, int] = {}
        self.records = 0
        self.unreadable = 0

    def packages(self) -> Iterator[_PackageValues]:
        for name in sorted(self.repodata.package_names(PackageFormatSelection.PREFER_CONDA)):
            try:
                package = PackageName(name)
                records = self.repodata.load_records(package, PackageFormatSelection.PREFER_CONDA)
            except Exception:  # rattler names no class for what a single bad record raises
                records = []
            if not records:  # also where a name has capitals, which rattler does not find
                self.unreadable += 1
                continue
            self.records += len(records)
            yield from self._versions(package.normalized, records)

    def _versions(self, name: str, records: list) -> Iterator[_PackageValues]:  # type: ignore[type-arg]
        """One row for each version; the licence is that of the highest build number."""
        builds: dict[str, list[str]] = {}
        newest: dict[str, tuple[int, str]] = {}
        for record in records:
            version = str(record.version)
            builds.setdefault(version, []).append(str(record.build))
            if record.license and (version not in newest or record.build_number >= newest[version][0]):
                newest[version] = (record.build_number, record.license)
        for version, strings in builds.items():
            license_id = None
            if version in newest:
                license_id = self.licenses.setdefault(newest[version][1], len(self.licenses))
            version_id = self.versions.setdefault(version, len(self.versions))
            yield name, version_id, license_id, "\n".join(dict.fromkeys(strings)).lower()
