"""How a query is answered from the catalog.

First it is found out which ids are on the page, then their rows are read. Two ways lead to the ids. Where all rows of a
name come one after another (nearly always), the names before the page are only counted (`_groups_on_page`), and only
the packages of those on it are sorted. For the other orders (by version, over all names) and for build strings all
packages that match are sorted.

Lists leave SQLite as one JSON text: Python's sqlite3 takes the interpreter's lock for every row that it gets, and
several searches at once would wait for each other at each.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conda_store.builder.package_index.model import PackagePage, PackageQuery, PackageRow, SortKey

_CHANNEL, _NAME, _VERSION = SortKey.CHANNEL, SortKey.NAME, SortKey.VERSION

FEW = 100_000
"""Fewer packages than this are taken out name by name and sorted; for more, the index over versions is walked."""

_PACKAGES_OF_HOLDING = "package p ON p.id BETWEEN h.first AND h.first + h.versions - 1"


@dataclass(frozen=True)
class _Selection:
    """Which channels and names are meant; the conditions are SQL over `{0}.channel` and `{0}.name`."""

    conditions: tuple[str, ...]
    values: tuple[object, ...]
    channels: int

    def where(self, table: str) -> str:
        return " AND ".join(condition.format(table) for condition in self.conditions) or "TRUE"


@dataclass(frozen=True)
class _Source:
    """Where the rows of an answer come from: tables in the order in which they are read, the last being `package p`."""

    tables: tuple[str, ...]
    where: str
    values: tuple[object, ...]

    def __str__(self) -> str:
        return f"FROM {' CROSS JOIN '.join(self.tables)} WHERE {self.where}"


def search(connection: sqlite3.Connection, query: PackageQuery, *, few: int = FEW) -> PackagePage:
    """The page for the query.

    Raises:
        sqlite3.DatabaseError: the file is damaged.
    """
    in_channels = _select_channels(connection, query)
    selection = _select_names(query, in_channels)
    rows = None if query.build else _rows_of_group(query, selection)
    if _is_by_id(query):
        ids, count = _by_id(connection, query, in_channels)
    elif rows is not None:
        ids, count = _by_group(connection, query, in_channels, selection, rows)
    else:
        ids, count = _by_package(connection, query, selection, few)
    return PackagePage(_rows(connection, ids), count)


def _select_channels(connection: sqlite3.Connection, query: PackageQuery) -> _Selection:
    known = dict(connection.execute("SELECT url, id FROM channel"))
    if query.channels is None:
        return _Selection((), (), len(known))
    chosen = tuple(known[url] for url in dict.fromkeys(query.channels) if url in known)
    return _Selection((f"{{0}}.channel IN ({', '.join('?' * len(chosen))})",), chosen, len(chosen))


def _select_names(query: PackageQuery, channels: _Selection) -> _Selection:
    if not query.search:
        return channels
    compares = "text = ?" if query.is_exact else "instr(text, ?)"
    condition = f"{{0}}.name IN (SELECT id FROM name WHERE {compares})"
    return _Selection((*channels.conditions, condition), (*channels.values, query.search.lower()), channels.channels)


def _is_by_id(query: PackageQuery) -> bool:
    """Whether the answer is whole channels in the order of the ids."""
    is_plain = query.sort_keys == (_CHANNEL, _NAME, _VERSION) and len(query.distinct_keys) in (0, 3)
    return is_plain and not query.search and not query.build


def _by_id(connection: sqlite3.Connection, query: PackageQuery, in_channels: _Selection) -> tuple[list[int], int]:
    """Reckon which ids are on the page."""
    condition = in_channels.where("h").replace("h.channel", "id")
    statement = f"SELECT first, packages FROM channel WHERE {condition} ORDER BY id {_direction(query)}"
    skip, room = query.offset, max(query.size, 0)
    total = 0
    ids: list[int] = []
    for first, packages in connection.execute(statement, in_channels.values):
        total += packages
        of_channel = range(first, first + packages)
        on_page = (of_channel[::-1] if query.is_descending else of_channel)[skip : skip + room]
        ids += on_page
        skip, room = max(0, skip - packages), room - len(on_page)
    return ids, total


def _group_keys(query: PackageQuery) -> tuple[SortKey, ...]:
    """The leading keys of the order, up to the name."""
    keys = query.sort_keys
    return keys[: keys.index(_NAME) + 1]


def _rows_of_group(query: PackageQuery, selection: _Selection) -> str | None:
    """How many rows of the answer each group has, as SQL over `holding h`; None where groups do not help."""
    keys, distinct, group = query.sort_keys, query.distinct_keys, _group_keys(query)
    if _VERSION in group or (group == (_CHANNEL, _NAME) and distinct == (_CHANNEL,)):
        return None
    if len(distinct) in (0, len(keys)):
        return "SUM(h.versions)"
    if distinct == group:
        return "1"
    if set(distinct) == {_NAME, _CHANNEL}:
        return "COUNT(*)"
    return "SUM(h.versions)" if selection.channels == 1 else None


def _by_group(
    connection: sqlite3.Connection, query: PackageQuery, in_channels: _Selection, selection: _Selection, rows: str
) -> tuple[list[int], int]:
    by = ", ".join(f"h.{key.value}" for key in _group_keys(query))
    groups = f"SELECT {by}, {rows} AS rows FROM holding h WHERE {selection.where('h')} GROUP BY {by}"
    count = connection.execute(f"SELECT COALESCE(SUM(rows), 0) FROM ({groups})", selection.values).fetchone()[0]
    if rows == "1":
        wanted, before = _single_groups_on_page(connection, query, groups, selection.values), query.offset
    else:
        wanted, before = _groups_on_page(connection, query, groups, selection.values)
    same = (f"h.{key.value} = json_extract(g.value, '$[{place}]')" for place, key in enumerate(_group_keys(query)))
    source = _Source(
        ("json_each(?) g", f"holding h ON {' AND '.join(same)}", _PACKAGES_OF_HOLDING),
        in_channels.where("h"),
        (wanted, *in_channels.values),
    )
    return _ids(connection, query, source, query.offset - before), count


def _single_groups_on_page(
    connection: sqlite3.Connection, query: PackageQuery, groups: str, values: Sequence[object]
) -> str:
    """The same as `_groups_on_page` where each group has one row."""
    columns = ", ".join(key.value for key in _group_keys(query))
    order = ", ".join(f"{key.value} {_direction(query)}" for key in _group_keys(query))
    statement = f"SELECT json_group_array(json_array({columns})) FROM ({groups} ORDER BY {order} LIMIT ? OFFSET ?)"
    (wanted,) = connection.execute(statement, (*values, max(query.size, 0), query.offset)).fetchone()
    return str(wanted)


def _groups_on_page(
    connection: sqlite3.Connection, query: PackageQuery, groups: str, values: Sequence[object]
) -> tuple[str, int]:
    """The groups that the page lies in, as JSON, and how many rows come before the first of them."""
    columns = ", ".join(key.value for key in _group_keys(query))
    order = ", ".join(f"{key.value} {_direction(query)}" for key in _group_keys(query))
    end = query.offset + max(query.size, 0)
    # no group is empty, so that none after the first `end` ones is on the page
    statement = (
        f"SELECT json_group_array(json_array({columns})), COALESCE(MIN(upto - rows), 0) FROM"
        f" (SELECT *, SUM(rows) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING) AS upto"
        f" FROM ({groups} ORDER BY {order} LIMIT ?)) WHERE upto > ? AND upto - rows < ?"
    )
    wanted, before = connection.execute(statement, (*values, end, query.offset, end)).fetchone()
    return str(wanted), int(before)


def _by_package(
    connection: sqlite3.Connection, query: PackageQuery, selection: _Selection, few: int
) -> tuple[list[int], int]:
    packages = f"SELECT COALESCE(SUM(h.versions), 0) FROM holding h WHERE {selection.where('h')}"
    count: int = connection.execute(packages, selection.values).fetchone()[0]
    source = _source(query, selection, are_few=count < few)
    if query.distinct_keys:
        by = ", ".join(f"p.{key.value}" for key in query.distinct_keys)
        count = connection.execute(f"SELECT COUNT(*) FROM (SELECT DISTINCT {by} {source})", source.values).fetchone()[0]
    elif query.build:
        count = connection.execute(f"SELECT COUNT(*) {source}", source.values).fetchone()[0]
    return _ids(connection, query, source, query.offset), count


def _source(query: PackageQuery, selection: _Selection, *, are_few: bool) -> _Source:
    # the plus keeps SQLite from looking up each name under each version when it walks the index over versions
    where, values = selection.where("h" if are_few else "+p"), selection.values
    tables: tuple[str, ...] = ("package p",)
    if are_few:
        tables = ("holding h", _PACKAGES_OF_HOLDING)
    elif query.sort_keys[0] is _VERSION:
        tables = ("package p INDEXED BY package_by_version",)
    if query.build:
        # many texts are read one after another, and only the packages of those that match are looked up
        tables = (*tables, "build b ON b.package = p.id") if are_few else ("build b", "package p ON p.id = b.package")
        # a build string has no line feed, which stands between two of them
        where += " AND instr(b.texts, ?) AND NOT instr(?, char(10))"
        values = (*values, query.build.lower(), query.build)
    return _Source(tables, where, values)


def _ids(connection: sqlite3.Connection, query: PackageQuery, source: _Source, offset: int) -> list[int]:
    """So many ids as go on a page, in order, from the source's rows after the first `offset`."""
    order = ", ".join(f"p.{key.value} {_direction(query)}" for key in query.sort_keys)
    rows = f"SELECT p.id AS id {source}"
    if query.distinct_keys:
        # beside MIN() and MAX() SQLite takes the other columns from the row that has it
        by = ", ".join(f"p.{key.value}" for key in query.distinct_keys)
        first = "MAX" if query.is_descending else "MIN"
        rows = f"SELECT p.id AS id, {first}({_rank(connection, query.sort_keys)}) {source} GROUP BY {by}"
    statement = f"SELECT json_group_array(id) FROM ({rows} ORDER BY {order} LIMIT ? OFFSET ?)"
    (ids,) = connection.execute(statement, (*source.values, max(query.size, 0), offset)).fetchone()
    return list(json.loads(ids))


def _rank(connection: sqlite3.Connection, keys: Sequence[SortKey]) -> str:
    """One integer that sorts like the numbers of the keys one after another, as SQL over `package p`."""
    rank = ""
    for key in keys:
        (largest,) = connection.execute(f"SELECT COALESCE(MAX(id), 0) FROM {key.value}").fetchone()
        rank = f"({rank} << {largest.bit_length()} | p.{key.value})" if rank else f"p.{key.value}"
    return rank


def _direction(query: PackageQuery) -> str:
    return "DESC" if query.is_descending else "ASC"


def _rows(connection: sqlite3.Connection, ids: Sequence[int]) -> tuple[PackageRow, ...]:
    statement = (
        "SELECT json_group_array(json_array(p.id, c.url, n.text, v.text, l.text, s.text)) FROM json_each(?) wanted"
        " CROSS JOIN package p ON p.id = wanted.value JOIN channel c ON c.id = p.channel JOIN name n ON n.id = p.name"
        " JOIN version v ON v.id = p.version LEFT JOIN license l ON l.id = p.license"
        " LEFT JOIN summary s ON s.channel = p.channel AND s.name = p.name"
    )
    (text,) = connection.execute(statement, (json.dumps(ids),)).fetchone()
    found: list[list[Any]] = json.loads(text)
    rows = {values[0]: PackageRow(*values) for values in found}
    return tuple(rows[each] for each in ids)
