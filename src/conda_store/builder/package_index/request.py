"""What the process that refreshes the index is told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Self

from conda_store.builder.package_index.model import IndexOptions
from conda_store.domain.addresses import AddressPolicy
from conda_store.domain.channel import without_credentials

NOARCH = "noarch"


@dataclass(frozen=True)
class Request:
    """`asked_at` in nanoseconds since 1970: what another process looked at since then is not looked at again."""

    directory: str
    channels: tuple[str, ...]
    platforms: tuple[str, ...]
    asked_at: int
    options: IndexOptions

    @classmethod
    def of(
        cls,
        *,
        directory: str,
        channels: Iterable[str],
        platforms: Iterable[str],
        asked_at: int,
        options: IndexOptions,
    ) -> Self:
        """A request in which nothing is named twice and no URL has credentials."""
        urls = dict.fromkeys(without_credentials(channel).rstrip("/") for channel in channels)
        names = dict.fromkeys(str(platform) for platform in platforms)
        return cls(directory, tuple(urls), tuple(names), asked_at, options)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        options = values["options"]
        options["addresses"] = AddressPolicy(tuple(options["addresses"]["allowed_inside"]))
        values["options"] = IndexOptions(**options)
        return cls(**values)

    @property
    def subdirs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.platforms, NOARCH)))
