"""Namespaces, as configuration files make them: `db.add(orm.Namespace(name="team"))`."""

from dataclasses import dataclass

__all__ = ["Namespace"]


@dataclass(frozen=True)
class Namespace:
    name: str
    id: int | None = None
