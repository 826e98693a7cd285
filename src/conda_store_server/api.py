"""What configuration files do to namespaces and their roles (version 2) while somebody logs in.

Each call is a change of its own, made with the operator's rights and written to the audit log; `commit` has nothing
left to do. What cannot be done raises ValueError, as files expect.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from conda_store.domain.access import SYSTEM
from conda_store.errors import CondaStoreError, Conflict, NotFound
from conda_store.services import namespaces, roles
from conda_store_server._internal.orm import Namespace

if TYPE_CHECKING:
    from conda_store_server._internal.session import Session

__all__ = ["create_namespace", "create_namespace_role", "delete_namespace_role", "get_namespace"]


@contextmanager
def _as_value_error() -> Iterator[None]:
    try:
        yield
    except CondaStoreError as error:
        raise ValueError(error.message) from error


def get_namespace(db: Session, name: str) -> Namespace | None:
    """The namespace; None where there is none."""
    try:
        found = namespaces.get_namespace(db.context, SYSTEM, name)
    except NotFound:
        return None
    return Namespace(found.name, found.id)


def create_namespace(db: Session, name: str) -> Namespace:
    """The namespace, made anew or there already."""
    with _as_value_error():
        try:
            made = namespaces.create_namespace(db.context, SYSTEM, name)
        except Conflict:
            made = namespaces.get_namespace(db.context, SYSTEM, name)
        return Namespace(made.name, made.id)


def create_namespace_role(db: Session, name: str, other: str, role: str) -> None:
    """Give those of another namespace a role in this one."""
    with _as_value_error():
        roles.give_role(db.context, SYSTEM, name, other, role)


def delete_namespace_role(db: Session, name: str, other: str) -> None:
    """Take the role of another namespace away, if it has one."""
    with _as_value_error():
        roles.take_role(db.context, SYSTEM, name, other)
