"""Who somebody is, and what may be permitted."""

from collections.abc import Iterable, Mapping

from conda_store.auth.providers.base import AuthenticationToken
from conda_store.domain.roles import Permission as Permissions

RoleBindings = Mapping[str, Iterable[str]]

__all__ = ["AuthenticationToken", "Permissions", "RoleBindings"]
