"""What an actor may read, as SQL: the same rule as `Actor.may` and `Actor.sees`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, and_, case, false, or_, true

from conda_store.db.tables import environment, namespace
from conda_store.domain.access import Actor, environment_patterns, namespace_patterns

# longer than any name, or word; SQLite refuses patterns of 50,000 characters
_LONGEST_PART = 1000
# conditions in one OR: SQLite reads it as a tree that is as deep as there are conditions, and takes none of 1000
_MOST_WAYS = 100


def escape_like(text: str) -> str:
    """`text` as a literal in a LIKE pattern with `\\` as its escape."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def holds(column: ColumnElement[Any], part: str) -> ColumnElement[bool]:
    """That `part` stands somewhere in the text of a column."""
    if len(part) > _LONGEST_PART:
        return false()
    return column.like(f"%{escape_like(part)}%", escape="\\")


def any_of(ways: Iterable[ColumnElement[bool]]) -> ColumnElement[bool]:
    """That one of these conditions is met, of however many: somebody may have been given a thousand environments."""
    found = list(ways)
    while len(found) > _MOST_WAYS:
        parts = (found[start : start + _MOST_WAYS] for start in range(0, len(found), _MOST_WAYS))
        # an OR in an OR would be made one of both
        found = [case((or_(*part), true()), else_=false()) for part in parts]
    return or_(false(), *found)


def _matches(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    if "*" not in pattern:
        return column == pattern
    if set(pattern) == {"*"}:
        return true()
    return column.like("%".join(escape_like(part) for part in pattern.split("*")), escape="\\")


def readable_patterns(actor: Actor) -> tuple[tuple[tuple[str, str], ...], ...]:
    """All that decides which environments the actor may read: the patterns of each layer, one of which has to match."""
    return tuple(environment_patterns(layer) for layer in actor.layers)


def reads_everything(actor: Actor) -> bool:
    return all(
        any(set(first) == {"*"} and set(second) == {"*"} for first, second in patterns)
        for patterns in readable_patterns(actor)
    )


def environments_readable_by(actor: Actor) -> ColumnElement[bool]:
    """A condition on `environment` joined with `namespace`."""
    return and_(*(_some(patterns) for patterns in readable_patterns(actor)))


def _some(patterns: tuple[tuple[str, str], ...]) -> ColumnElement[bool]:
    return any_of(
        and_(_matches(namespace.c.name, first), _matches(environment.c.name, second)) for first, second in patterns
    )


def namespaces_seen_by(actor: Actor) -> ColumnElement[bool]:
    """A condition on `namespace`: those which, or something in which, may be read."""
    return and_(
        *(
            any_of(_matches(namespace.c.name, pattern) for pattern in namespace_patterns(layer))
            for layer in actor.layers
        )
    )
