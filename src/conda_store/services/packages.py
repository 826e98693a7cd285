"""What the channels offer, and which channels are known."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from conda_store.builder.package_index.model import PackageQuery, PackageRow
from conda_store.db import channels
from conda_store.db.paging import Page, PageRequest
from conda_store.db.records import ChannelRecord
from conda_store.domain.access import Actor
from conda_store.domain.channel import channel_url
from conda_store.domain.roles import Permission
from conda_store.errors import ChannelUnavailable
from conda_store.services.context import Context
from conda_store.services.settings import effective_settings

logger = structlog.get_logger()

_VERSIONS_OFFERED = 12
_NAMES_OFFERED = 8


def indexed_channels(context: Context) -> tuple[str, ...]:
    """The URLs of the channels that are indexed."""
    settings = effective_settings(context.database, context.deployment)
    return tuple(channel_url(name, settings.conda_channel_alias) for name in settings.conda_indexed_channels)


def list_channels(context: Context, actor: Actor, request: PageRequest) -> Page[ChannelRecord]:
    """For everybody who may read anything at all."""
    actor.require_somewhere(Permission.ENVIRONMENT_READ)
    with context.database.read() as connection:
        return channels.list_all(connection, request)


def search_packages(
    context: Context, actor: Actor, query: PackageQuery
) -> tuple[tuple[tuple[PackageRow, ChannelRecord], ...], int]:
    """The packages of a page, each with its channel, and how many there are on all pages."""
    actor.require_somewhere(Permission.ENVIRONMENT_READ)
    with context.database.read() as connection:
        known = channels.ids(connection)
    page = context.packages.search(query)
    return tuple(
        (row, known.get(row.channel_url, ChannelRecord(0, row.channel_url, None))) for row in page.rows
    ), page.count


@dataclass(frozen=True)
class Offered:
    """What channels offer under a name: `versions` of the very name, newest first, and other names it is part of."""

    versions: tuple[PackageRow, ...]
    others: tuple[PackageRow, ...]


def find_packages(context: Context, actor: Actor, text: str, channels: tuple[str, ...] | None = None) -> Offered:
    """A few packages to choose from; `channels` are URLs, None for all that are indexed."""
    actor.require_somewhere(Permission.ENVIRONMENT_READ)
    name = text.strip().lower()
    if not name:
        return Offered((), ())
    exact = PackageQuery(
        name, exact=True, distinct_on=("version",), order="desc", size=_VERSIONS_OFFERED, channels=channels
    )
    alike = PackageQuery(name, distinct_on=("name",), size=_NAMES_OFFERED + 1, channels=channels)
    others = (row for row in context.packages.search(alike).rows if row.name != name)
    return Offered(context.packages.search(exact).rows, tuple(others)[:_NAMES_OFFERED])


def ensure_channels(context: Context) -> None:
    """Make the indexed channels known by name before anything has been read of them."""
    with context.database.write() as connection:
        for url in indexed_channels(context):
            channels.ensure(connection, url)


async def refresh_index(context: Context) -> None:
    """Bring the package index up to the present state of the channels."""
    settings = effective_settings(context.database, context.deployment)
    try:
        found = await context.packages.refresh(indexed_channels(context), settings.conda_platforms)
    except ChannelUnavailable as error:
        logger.warning("channels cannot be indexed", error=error.message)
        found = context.packages.channels()
    with context.database.write() as connection:
        for indexed in found:
            channels.ensure(connection, indexed.url)
            channels.set_updated(connection, indexed.url, indexed.updated_at)
