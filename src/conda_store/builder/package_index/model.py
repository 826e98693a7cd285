"""What goes into the package index and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from conda_store.domain.addresses import AddressPolicy


class SortKey(StrEnum):
    """What packages are sorted by, and told apart by (`distinct_on`)."""

    CHANNEL = "channel"
    NAME = "name"
    VERSION = "version"


_NOT_EXACT = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True)
class PackageQuery:
    """A question about packages.

    search: part of a name, in any case; `%` and `_` mean themselves. With `exact` the whole name. Empty matches all.
    exact: a boolean, or the text of a query parameter ("true", "1"; "false", "0", "no", "off" and "" are false).
    build: part of a build string, in any case.
    distinct_on: one row for each value of these; they become the first keys of the order, and of equal rows the first
        in the order stays (PostgreSQL's DISTINCT ON).
    sort_by: keys of the order; unknown ones are ignored. What is left is sorted by channel, name, version, so that
        the order is always total. Versions are in conda's order.
    order: "desc" turns the whole order round; anything else is ascending.
    page: from 1. size: rows on a page.
    channels: URLs without credentials; None for all that are indexed.
    """

    search: str | None = None
    exact: bool | str = False
    build: str | None = None
    distinct_on: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()
    order: str = "asc"
    page: int = 1
    size: int = 100
    channels: tuple[str, ...] | None = None

    @property
    def is_exact(self) -> bool:
        return self.exact.strip().lower() not in _NOT_EXACT if isinstance(self.exact, str) else self.exact

    @property
    def is_descending(self) -> bool:
        return self.order == "desc"

    @property
    def offset(self) -> int:
        """How many rows come before the page; 0 for a page below 1."""
        return (max(self.page, 1) - 1) * max(self.size, 0)

    @property
    def distinct_keys(self) -> tuple[SortKey, ...]:
        """The known keys of `distinct_on`, each once."""
        return _known(self.distinct_on)

    @property
    def sort_keys(self) -> tuple[SortKey, ...]:
        """All three keys, in the order in which they count."""
        return tuple(dict.fromkeys((*self.distinct_keys, *_known(self.sort_by), *SortKey)))


def _known(names: tuple[str, ...]) -> tuple[SortKey, ...]:
    known = {key.value: key for key in SortKey}
    return tuple(dict.fromkeys(known[name] for name in names if name in known))


@dataclass(frozen=True)
class PackageRow:
    """One version of a package in one channel. `id` is its own until the content of an indexed channel changes."""

    id: int
    channel_url: str
    name: str
    version: str
    license: str | None = None
    summary: str | None = None


@dataclass(frozen=True)
class PackagePage:
    """`count` is how many rows there are on all pages."""

    rows: tuple[PackageRow, ...]
    count: int


@dataclass(frozen=True)
class IndexedChannel:
    """One subdir of an indexed channel.

    records: how many package records (builds) it holds. unreadable: how many names were left out, because a record of
    theirs breaks the rules for names or versions. updated_at: when this content was first read (aware, UTC).
    """

    url: str
    subdir: str
    records: int
    updated_at: datetime
    unreadable: int = 0


@dataclass(frozen=True)
class IndexOptions:
    """All times in seconds.

    fetch_timeout: for one repodata, retries included. timeout: for a whole refresh, waiting for another process's
    refresh included. connections: downloads at a time. niceness: added to that of the child process, so that it gives
    way to solves and builds. with_summaries: whether channeldata.json is read, for the summaries.
    authentication_file: rattler's file with the credentials of private channels; None is rattler's own default.
    addresses: what may be asked.
    """

    fetch_timeout: float = 300.0
    timeout: float = 1800.0
    retries: int = 2
    connections: int = 4
    niceness: int = 10
    with_summaries: bool = True
    channeldata_limit: int = 256 * 1024 * 1024
    authentication_file: str | None = None
    addresses: AddressPolicy = field(default_factory=AddressPolicy)
