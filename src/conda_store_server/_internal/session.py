"""What `get_conda_store` gives to configuration files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from conda_store.services.context import Context
from conda_store_server._internal.orm import Namespace
from conda_store_server.api import create_namespace


@dataclass(frozen=True)
class Session:
    """Takes namespaces that are to be made."""

    context: Context

    def add(self, item: Namespace) -> None:
        """
        Raises:
            ValueError: it is no namespace, or its name is none.
        """
        if not isinstance(item, Namespace):
            raise ValueError(f"only an orm.Namespace can be added here, not a {type(item).__name__}")
        create_namespace(self, item.name)

    def commit(self) -> None:
        """Nothing: each change is kept at once."""


@dataclass(frozen=True)
class CondaStore:
    context: Context

    @contextmanager
    def session_factory(self) -> Iterator[Session]:
        yield Session(self.context)
