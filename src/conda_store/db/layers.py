"""Layers by their keys: made once, then found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from conda_store.db.portions import portions
from conda_store.db.tables import layer
from conda_store.domain.image import Activation, Layer


def find(connection: Connection, keys: Sequence[str]) -> dict[str, Layer]:
    """The layers that are known, by key."""
    found: dict[str, Layer] = {}
    for some in portions(keys):
        query = select(layer).where(layer.c.key.in_(some))
        found |= {row.key: _record(row) for row in connection.execute(query)}
    return found


def _record(row: Any) -> Layer:
    activation = row.activation or {}
    return Layer(
        row.digest,
        row.diff_id,
        row.size,
        row.content_size,
        row.comment,
        Activation(activation.get("has_scripts", False), activation.get("variables", {})),
        row.path_marks or b"",
    )


def add(connection: Connection, made: Mapping[str, Layer]) -> dict[str, Layer]:
    """Record layers by key; of those that somebody else has recorded meanwhile, theirs. All of them, by key."""
    known = find(connection, list(made))
    now = datetime.now(UTC)
    for key, item in made.items():
        if key not in known:
            values = {name: value for name, value in asdict(item).items() if name != "activation"}
            activation = asdict(item.activation) if item.activation != Activation() else None
            connection.execute(insert(layer).values(key=key, activation=activation, created_on=now, **values))
    return {**made, **known}
