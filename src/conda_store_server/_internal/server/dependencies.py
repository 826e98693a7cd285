"""The same as `conda_store_server.server.dependencies`."""

from conda_store_server.server.dependencies import get_conda_store

__all__ = ["get_conda_store"]
