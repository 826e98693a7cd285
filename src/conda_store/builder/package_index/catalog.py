"""The catalog: all parts in one file, arranged so that a page is found without reading what comes before it.

Names, versions and channels are numbered in the order in which they are to be listed, so that every order is one of
integers. Packages (one for each channel, name and version) are numbered by channel, name, version; all versions of a
name in a channel are one range of ids, which `holding` has.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rattler import Version

from conda_store.builder.package_index.layout import Layout, replacing
from conda_store.builder.package_index.part import PartMeta, read_meta
from conda_store.builder.package_index.readers import open_readonly, opened

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE channel(id INTEGER PRIMARY KEY, url TEXT NOT NULL, first INTEGER NOT NULL, packages INTEGER NOT NULL);
CREATE TABLE source(channel INTEGER, subdir TEXT, state TEXT, records INTEGER, unreadable INTEGER, updated_at TEXT);
CREATE TABLE name(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE version(id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE license(id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE holding(
    channel INTEGER NOT NULL, name INTEGER NOT NULL, first INTEGER NOT NULL, versions INTEGER NOT NULL,
    PRIMARY KEY (channel, name)) WITHOUT ROWID;
CREATE TABLE package(
    id INTEGER PRIMARY KEY, channel INTEGER NOT NULL, name INTEGER NOT NULL, version INTEGER NOT NULL, license INTEGER);
CREATE TABLE build(package INTEGER PRIMARY KEY, texts TEXT NOT NULL);
CREATE TABLE summary(channel INTEGER, name INTEGER, text TEXT NOT NULL, PRIMARY KEY (channel, name)) WITHOUT ROWID;
"""
_INDEXES = """
CREATE INDEX holding_by_name ON holding(name, channel, first, versions);
CREATE INDEX package_by_version ON package(version, name, channel);
ANALYZE;
"""

# a version of one name in one channel: license, builds
_Content = tuple[str | None, str]


def summaries_state(path: Path) -> str:
    """Changes whenever the summaries do."""
    try:
        return str(path.stat().st_mtime_ns)
    except FileNotFoundError:
        return ""


def is_current(layout: Layout, parts: Sequence[PartMeta]) -> bool:
    """Whether the catalog is made of exactly these parts and of the present summaries."""
    try:
        with opened(layout.catalog) as connection:
            present = set(connection.execute("SELECT url, subdir, state FROM source JOIN channel ON id = channel"))
    except sqlite3.Error:
        return False
    return present == {(part.channel, part.subdir, _state(layout, part)) for part in parts}


def write_catalog(layout: Layout, parts: Sequence[PartMeta]) -> None:
    """Make the catalog anew out of the parts, and put it in place."""
    layout.catalog.parent.mkdir(parents=True, exist_ok=True)
    with replacing(layout.catalog) as staging, contextlib.closing(sqlite3.connect(staging)) as connection:
        connection.executescript(_SCHEMA)
        with connection:
            _Writer(connection, layout, parts).write()
        connection.executescript(_INDEXES)


def present_parts(layout: Layout) -> list[PartMeta]:
    """The parts that are there; one that cannot be read is removed, it will be made again."""
    parts = []
    for path in layout.parts():
        meta = read_meta(path)
        if meta is None:
            path.unlink(missing_ok=True)
        else:
            parts.append(meta)
    return parts


class _Writer:
    def __init__(self, connection: sqlite3.Connection, layout: Layout, parts: Sequence[PartMeta]) -> None:
        self.connection = connection
        self.layout = layout
        # noarch last: where a version is in several subdirs, the licence is that of the first
        self.parts = sorted(parts, key=lambda part: (part.channel, part.subdir == "noarch", part.subdir))
        self.channels = {url: number for number, url in enumerate(sorted({part.channel for part in parts}), 1)}

    def write(self) -> None:
        self._insert_sources()
        names = self._numbered("name", sorted(self._distinct("SELECT DISTINCT name FROM package")))
        versions = self._numbered("version", in_version_order(self._distinct("SELECT text FROM version")))
        licenses = self._numbered("license", sorted(self._distinct("SELECT text FROM license")))
        first = 1
        for url, channel in self.channels.items():
            packages = _Packages(channel, first, names, versions, licenses)
            parts = [part for part in self.parts if part.channel == url]
            self._insert_packages(packages, parts)
            self._insert_summaries(url, channel, names)
            self.connection.execute(
                "INSERT INTO channel VALUES (?, ?, ?, ?)", (channel, url, first, packages.next_id - first)
            )
            first = packages.next_id

    def _distinct(self, query: str) -> set[str]:
        texts: set[str] = set()
        for part in self.parts:
            with opened(part.path) as source:
                texts.update(text for (text,) in source.execute(query))
        return texts

    def _numbered(self, table: str, texts: Iterable[str]) -> dict[str, int]:
        numbers = {text: number for number, text in enumerate(texts, 1)}
        values = ((number, text) for text, number in numbers.items())
        self.connection.executemany(f"INSERT INTO {table} VALUES (?, ?)", values)
        return numbers

    def _insert_sources(self) -> None:
        for part in self.parts:
            state = _state(self.layout, part)
            counts = (part.records, part.unreadable, part.updated_at.isoformat())
            values = (self.channels[part.channel], part.subdir, state, *counts)
            self.connection.execute("INSERT INTO source VALUES (?, ?, ?, ?, ?, ?)", values)

    def _insert_packages(self, packages: _Packages, parts: Sequence[PartMeta]) -> None:
        with contextlib.ExitStack() as stack:
            streams = []
            for part in parts:
                source = stack.enter_context(contextlib.closing(open_readonly(part.path)))
                streams.append(_rows(source))
            for batch in packages.batches(heapq.merge(*streams, key=lambda row: row[0])):
                self.connection.executemany("INSERT INTO package VALUES (?, ?, ?, ?, ?)", batch.packages)
                self.connection.executemany("INSERT INTO build VALUES (?, ?)", batch.builds)
                self.connection.executemany("INSERT INTO holding VALUES (?, ?, ?, ?)", batch.holdings)

    def _insert_summaries(self, url: str, channel: int, names: Mapping[str, int]) -> None:
        summaries = read_summaries(self.layout.summaries(url))
        values = ((channel, names[name], text) for name, text in summaries.items() if name in names)
        self.connection.executemany("INSERT OR REPLACE INTO summary VALUES (?, ?, ?)", values)


class _Batch:
    def __init__(self) -> None:
        self.packages: list[tuple[int, int, int, int, int | None]] = []
        self.builds: list[tuple[int, str]] = []
        self.holdings: list[tuple[int, int, int, int]] = []


class _Packages:
    """Numbers the packages of one channel, name by name, versions in their order."""

    def __init__(
        self,
        channel: int,
        first: int,
        names: Mapping[str, int],
        versions: Mapping[str, int],
        licenses: Mapping[str, int],
    ) -> None:
        self.channel = channel
        self.next_id = first
        self.names = names
        self.versions = versions
        self.licenses = licenses

    def batches(self, rows: Iterable[tuple[str, str, str | None, str]], size: int = 5000) -> Iterator[_Batch]:
        batch = _Batch()
        for name, group in itertools.groupby(rows, key=lambda row: row[0]):
            self._add(batch, self.names[name], group)
            if len(batch.packages) >= size:
                yield batch
                batch = _Batch()
        yield batch

    def _add(self, batch: _Batch, name: int, rows: Iterable[tuple[str, str, str | None, str]]) -> None:
        contents: dict[int, _Content] = {}
        for _, version, license_text, builds in rows:
            number = self.versions[version]
            if number in contents:
                known_license, known_builds = contents[number]
                contents[number] = (known_license or license_text, f"{known_builds}\n{builds}")
            else:
                contents[number] = (license_text, builds)
        batch.holdings.append((self.channel, name, self.next_id, len(contents)))
        for number in sorted(contents):
            license_text, builds = contents[number]
            license_id = self.licenses[license_text] if license_text is not None else None
            batch.packages.append((self.next_id, self.channel, name, number, license_id))
            batch.builds.append((self.next_id, builds))
            self.next_id += 1


def _rows(source: sqlite3.Connection) -> Iterator[tuple[str, str, str | None, str]]:
    """Name, version, license, builds, in the order of names."""
    return source.execute(
        "SELECT p.name, v.text, l.text, p.builds FROM package p JOIN version v ON v.id = p.version"
        " LEFT JOIN license l ON l.id = p.license ORDER BY p.rowid"
    )


def in_version_order(texts: Iterable[str]) -> list[str]:
    """Versions in conda's order; equal ones (1.0 and 1.00) in the order of their texts."""
    return sorted(sorted(texts), key=Version)


def read_summaries(path: Path) -> dict[str, str]:
    """Summaries by name in lower case; none where there is no file that can be read."""
    try:
        return dict(json.loads(path.read_bytes())["summaries"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _state(layout: Layout, part: PartMeta) -> str:
    return f"{part.state} {summaries_state(layout.summaries(part.channel))}"
