"""Pages by number (v1) and by key (v2)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from conda_store.domain.names import name_problem
from conda_store.errors import InvalidInput

Row = TypeVar("Row")


@dataclass(frozen=True)
class PageRequest:
    """`size` None asks for all rows. One direction serves the whole sort; unknown columns are left aside."""

    page: int = 1
    size: int | None = 100
    sort_by: tuple[str, ...] = ()
    is_descending: bool = False


@dataclass(frozen=True)
class Page(Generic[Row]):
    """`count` is the number of rows on all pages."""

    rows: tuple[Row, ...]
    page: int
    size: int
    count: int

    @property
    def pages(self) -> int:
        """How many there are; 0 without rows."""
        return -(-self.count // self.size)

    def shorter(self) -> Page[Row]:
        """Its beginning, as a page of a smaller size: half or a fifth as many rows where that divides, else one."""
        part = next((part for part in (2, 5) if self.size % part == 0), self.size)
        return Page(self.rows[: self.size // part], (self.page - 1) * part + 1, self.size // part, self.count)


@dataclass(frozen=True)
class KeysetPage(Generic[Row]):
    """`cursor` leads to the next page; None when this one is the last."""

    rows: tuple[Row, ...]
    cursor: str | None
    count: int


@dataclass(frozen=True)
class Cursor:
    """Where the last page ended: the id, and the values of the columns it was sorted by."""

    last_id: int | None
    last_value: Mapping[str, Any] | None

    def encode(self) -> str:
        document = {"last_id": self.last_id, "last_value": self.last_value}
        return base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()


END_CURSOR = Cursor(None, None)


def decode_cursor(text: str, sort_by: Sequence[str]) -> Cursor:
    """The cursor of a page that was sorted by these columns, all of which hold names.

    Raises:
        InvalidInput: it is none of ours, or that of another order.
    """
    try:
        document = json.loads(base64.b64decode(text, validate=True))
        last_id, values = document["last_id"], document["last_value"]
        if last_id is None:
            return END_CURSOR
        if type(last_id) is int and 0 < last_id < 2**63 and not any(name_problem(values[name]) for name in sort_by):
            return Cursor(last_id, values)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise InvalidInput(
        f"cursor {text[:100]!r} is not one that this service gave for this order", hint="Start again without a cursor."
    )


def count_of(connection: Connection, query: Select[Any]) -> int:
    return connection.execute(select(func.count()).select_from(query.order_by(None).subquery())).scalar_one()


def fetch_page(
    connection: Connection,
    record: Callable[[Any], Row],
    query: Select[Any],
    request: PageRequest,
    columns: Mapping[str, Sequence[ColumnElement[Any]]],
    default: Sequence[str],
    *,
    tie: ColumnElement[Any],
    count: int | None = None,
) -> Page[Row]:
    """A page of the query's rows, each as `record` makes it; `columns` are those that it may be sorted by.

    `tie` decides between rows that are equal in them. A page in the second half is counted from the end, so that the
    last one costs no more than the first.
    """
    if count is None:
        count = count_of(connection, query)
    size = request.size or max(count, 1)
    offset = (request.page - 1) * size
    length = min(size, count - offset)
    if length <= 0:
        return Page((), request.page, size, count)
    names = [name for name in dict.fromkeys(request.sort_by) if name in columns] or default
    order = [*(column for name in names for column in columns[name]), tie]
    is_from_end = offset > count // 2
    query = query.order_by(*directed(order, is_descending=request.is_descending is not is_from_end)).limit(length)
    rows = connection.execute(query.offset(count - offset - length if is_from_end else offset)).all()
    return Page(tuple(record(row) for row in (rows[::-1] if is_from_end else rows)), request.page, size, count)


def directed(columns: Sequence[ColumnElement[Any]], *, is_descending: bool) -> list[ColumnElement[Any]]:
    return [column.desc() if is_descending else column.asc() for column in columns]


def after(columns: Sequence[ColumnElement[Any]], values: Sequence[Any], *, is_descending: bool) -> ColumnElement[bool]:
    """Rows that come after `values` in the order of `columns`: a comparison of tuples, spelled out."""
    steps: list[ColumnElement[bool]] = []
    for index, (column, value) in enumerate(zip(columns, values, strict=True)):
        beyond = column < value if is_descending else column > value
        equal = [earlier == known for earlier, known in zip(columns[:index], values[:index], strict=True)]
        steps.append(and_(*equal, beyond))
    return or_(*steps)
