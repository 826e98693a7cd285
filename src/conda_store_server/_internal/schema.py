"""The same as `conda_store_server.server.schema`."""

from conda_store_server.server.schema import AuthenticationToken, Permissions, RoleBindings

__all__ = ["AuthenticationToken", "Permissions", "RoleBindings"]
