"""The channels that packages came from, or that are indexed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from conda_store.db.paging import Page, PageRequest, fetch_page
from conda_store.db.records import ChannelRecord
from conda_store.db.tables import conda_channel


def _record(row: Any) -> ChannelRecord:
    return ChannelRecord(row.id, row.name, row.last_update)


def ensure(connection: Connection, url: str) -> int:
    found: int | None = connection.execute(
        select(conda_channel.c.id).where(conda_channel.c.name == url)
    ).scalar_one_or_none()
    if found is not None:
        return found
    created: int = connection.execute(insert(conda_channel).values(name=url).returning(conda_channel.c.id)).scalar_one()
    return created


def set_updated(connection: Connection, url: str, moment: datetime) -> None:
    connection.execute(update(conda_channel).where(conda_channel.c.name == url).values(last_update=moment))


def list_all(connection: Connection, request: PageRequest) -> Page[ChannelRecord]:
    sortable: dict[str, list[ColumnElement[Any]]] = {"name": [conda_channel.c.name]}
    query = select(conda_channel)
    return fetch_page(connection, _record, query, request, sortable, ["name"], tie=conda_channel.c.id)


def ids(connection: Connection) -> dict[str, ChannelRecord]:
    """Every channel by its URL."""
    return {row.name: _record(row) for row in connection.execute(select(conda_channel))}
