"""How a query is answered from the catalog.

Two ways lead to a page. Where all rows of a name come one after another (nearly always), the names before the page are
only counted (`_count_groups`), and those on it read (`_read_groups`). For the other orders (by version, over all names)
and for build strings SQLite sorts the packages (`_by_rank`); DISTINCT ON is then the least of each group, by one
integer that has a package's three numbers in the order of the sort.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from conda_store.builder.package_index.model import PackagePage, PackageQuery, PackageRow, SortKey

_CHANNEL, _NAME, _VERSION = SortKey.CHANNEL, SortKey.NAME, SortKey.VERSION

FEW = 100_000
"""Fewer packages than this are taken out name by name and sorted; for more, the index over versions is walked."""

# the numbers of one package: id, channel, name, version
_Numbers = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Selection:
    """Which channels and names are meant; the conditions are SQL over `{0}.channel` and `{0}.name`."""

    conditions: tuple[str, ...]
    values: tuple[object, ...]
    channels: int

    def where(self, table: str) -> str:
        return " AND ".join(condition.format(table) for condition in self.conditions) or "TRUE"


def search(connection: sqlite3.Connection, query: PackageQuery, *, few: int = FEW) -> PackagePage:
    """The page for the query.

    Raises:
        sqlite3.DatabaseError: the file is damaged.
    """
    in_channels = _select_channels(connection, query)
    selection = _select_names(query, in_channels)
    rows = None if query.build else _rows_of_group(query, selection)
    if not query.build and not query.search and _is_in_order_of_ids(query):
        numbers, count = _by_id(connection, query, in_channels)
    elif rows is None:
        numbers, count = _by_rank(connection, query, selection, few)
    else:
        groups, before, count = _count_groups(connection, query, selection, rows)
        numbers = _read_groups(connection, query, in_channels, groups)
        numbers = numbers[query.offset - before : query.offset - before + max(query.size, 0)]
    return PackagePage(_rows(connection, numbers), count)


def _select_channels(connection: sqlite3.Connection, query: PackageQuery) -> _Selection:
    known = dict(connection.execute("SELECT url, id FROM channel"))
    if query.channels is None:
        return _Selection((), (), len(known))
    chosen = tuple(known[url] for url in dict.fromkeys(query.channels) if url in known)
    return _Selection((f"{{0}}.channel IN ({_marks(chosen)})",), chosen, len(chosen))


def _select_names(query: PackageQuery, channels: _Selection) -> _Selection:
    if not query.search:
        return channels
    compares = "text = ?" if query.is_exact else "instr(text, ?)"
    condition = f"{{0}}.name IN (SELECT id FROM name WHERE {compares})"
    return _Selection((*channels.conditions, condition), (*channels.values, query.search.lower()), channels.channels)


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


def _is_in_order_of_ids(query: PackageQuery) -> bool:
    return query.sort_keys == (_CHANNEL, _NAME, _VERSION) and len(query.distinct_keys) in (0, 3)


def _by_id(connection: sqlite3.Connection, query: PackageQuery, in_channels: _Selection) -> tuple[list[_Numbers], int]:
    """Whole channels, in the order of the ids: reckon which ids are on the page."""
    condition = in_channels.where("h").replace("h.channel", "id")
    statement = f"SELECT first, packages FROM channel WHERE {condition} ORDER BY id {_direction(query)}"
    skip, room = query.offset, max(query.size, 0)
    total = 0
    ids: list[int] = []
    for first, packages in connection.execute(statement, in_channels.values):
        total += packages
        of_channel = range(first, first + packages)
        of_channel = (of_channel[::-1] if query.is_descending else of_channel)[skip : skip + room]
        ids += of_channel
        skip, room = max(0, skip - packages), room - len(of_channel)
    return [(each, 0, 0, 0) for each in ids], total


def _count_groups(
    connection: sqlite3.Connection, query: PackageQuery, selection: _Selection, rows: str
) -> tuple[list[tuple[int, ...]], int, int]:
    """The groups that the page lies in, how many rows come before the first of them, and how many there are in all."""
    columns = [f"h.{key.value}" for key in _group_keys(query)]
    by, order = ", ".join(columns), ", ".join(f"{column} {_direction(query)}" for column in columns)
    size = max(query.size, 0)
    counting = f"SELECT {by}, {rows} AS rows FROM holding h WHERE {selection.where('h')} GROUP BY {by}"
    total = connection.execute(f"SELECT COALESCE(SUM(rows), 0) FROM ({counting})", selection.values).fetchone()[0]
    if rows == "1":
        page = connection.execute(
            f"{counting} ORDER BY {order} LIMIT ? OFFSET ?", (*selection.values, size, query.offset)
        )
        return [tuple(group) for *group, _ in page], query.offset, total
    before = seen = 0
    groups: list[tuple[int, ...]] = []
    for *group, count in connection.execute(f"{counting} ORDER BY {order}", selection.values):
        if seen >= query.offset + size:
            break
        if seen + count > query.offset:
            before = before if groups else seen
            groups.append(tuple(group))
        seen += count
    return groups, before, total


def _read_groups(
    connection: sqlite3.Connection, query: PackageQuery, in_channels: _Selection, groups: Sequence[tuple[int, ...]]
) -> list[_Numbers]:
    """The rows of the answer in these groups, in order."""
    same = " AND ".join(f"h.{key.value} = ?" for key in _group_keys(query))
    statement = (
        "SELECT p.id, p.channel, p.name, p.version FROM holding h"
        " JOIN package p ON p.id BETWEEN h.first AND h.first + h.versions - 1"
        f" WHERE {same} AND {in_channels.where('h')}"
    )
    rank = _ranker(query.sort_keys)
    numbers: list[_Numbers] = []
    for group in groups:
        found = connection.execute(statement, (*group, *in_channels.values))
        numbers += _distinct(sorted(found, key=rank, reverse=query.is_descending), query.distinct_keys)
    return numbers


def _by_rank(
    connection: sqlite3.Connection, query: PackageQuery, selection: _Selection, few: int
) -> tuple[list[_Numbers], int]:
    """Let SQLite sort the packages themselves."""
    packages = "SELECT COALESCE(SUM(h.versions), 0) FROM holding h WHERE " + selection.where("h")
    (matching,) = connection.execute(packages, selection.values).fetchone()
    source, where, values = _source(selection, matching < few, query.sort_keys[0] is _VERSION, query.build)
    order = ", ".join(f"p.{key.value} {_direction(query)}" for key in query.sort_keys)
    columns, tail = "p.id, p.channel, p.name, p.version", f"FROM {source} WHERE {where}"
    limits = (max(query.size, 0), query.offset)
    if query.distinct_keys:
        by = ", ".join(f"p.{key.value}" for key in query.distinct_keys)
        # beside MIN() and MAX() SQLite takes the other columns from the row that has it
        first = f"{'MAX' if query.is_descending else 'MIN'}({_rank(connection, query.sort_keys)})"
        page = f"SELECT {columns}, {first} {tail} GROUP BY {by} ORDER BY {order} LIMIT ? OFFSET ?"
        counting = f"SELECT COUNT(*) FROM (SELECT DISTINCT {by} {tail})"
    else:
        page = f"SELECT {columns} {tail} ORDER BY {order} LIMIT ? OFFSET ?"
        counting = f"SELECT COUNT(*) {tail}" if query.build else ""
    count = connection.execute(counting, values).fetchone()[0] if counting else matching
    return [tuple(row[:4]) for row in connection.execute(page, (*values, *limits))], count


def _source(
    selection: _Selection, are_few: bool, starts_with_version: bool, build: str | None
) -> tuple[str, str, tuple[object, ...]]:
    """Tables to read `package p` from, in the order in which they are read, a condition, and its values.

    The plus keeps SQLite from looking up each name under each version when it walks the index over versions.
    """
    tables, where, values = ["package p"], selection.where("h" if are_few else "+p"), selection.values
    if starts_with_version:
        tables = ["package p INDEXED BY package_by_version"]
    if are_few:
        tables = ["holding h", "package p ON p.id BETWEEN h.first AND h.first + h.versions - 1"]
    if build and are_few:
        tables.append("build b ON b.package = p.id")
    elif build:  # texts are read one after another, and only what matches is looked up
        tables = ["build b", "package p ON p.id = b.package"]
    if build:
        where, values = f"{where} AND instr(b.texts, ?) AND NOT instr(?, char(10))", (*values, build.lower(), build)
    return " CROSS JOIN ".join(tables), where, values


def _rank(connection: sqlite3.Connection, keys: Sequence[SortKey]) -> str:
    """One integer that sorts like the numbers of the keys one after another, as SQL over `package p`."""
    rank = ""
    for key in keys:
        (largest,) = connection.execute(f"SELECT COALESCE(MAX(id), 0) FROM {key.value}").fetchone()
        rank = f"({rank} << {largest.bit_length()} | p.{key.value})" if rank else f"p.{key.value}"
    return rank


def _direction(query: PackageQuery) -> str:
    return "DESC" if query.is_descending else "ASC"


_PLACE = {_CHANNEL: 1, _NAME: 2, _VERSION: 3}
"""Where in `_Numbers` a key's number is."""


def _ranker(keys: Sequence[SortKey]) -> Callable[[_Numbers], tuple[int, ...]]:
    places = [_PLACE[key] for key in keys]
    return lambda numbers: tuple(numbers[place] for place in places)


def _distinct(numbers: Sequence[_Numbers], keys: Sequence[SortKey]) -> list[_Numbers]:
    """The first of those with equal keys."""
    if not keys:
        return list(numbers)
    first: dict[object, _Numbers] = {}
    rank = _ranker(keys)
    for each in numbers:
        first.setdefault(rank(each), each)
    return list(first.values())


def _rows(connection: sqlite3.Connection, numbers: Sequence[_Numbers]) -> tuple[PackageRow, ...]:
    found = connection.execute(
        "SELECT p.id, c.url, n.text, v.text, l.text, s.text FROM package p JOIN channel c ON c.id = p.channel"
        " JOIN name n ON n.id = p.name JOIN version v ON v.id = p.version LEFT JOIN license l ON l.id = p.license"
        f" LEFT JOIN summary s ON s.channel = p.channel AND s.name = p.name WHERE p.id IN ({_marks(numbers)})",
        [each[0] for each in numbers],
    )
    rows = {row[0]: PackageRow(*row) for row in found}
    return tuple(rows[each[0]] for each in numbers)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
