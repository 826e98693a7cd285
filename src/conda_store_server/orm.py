"""The same as `conda_store_server._internal.orm`."""

from conda_store_server._internal.orm import Namespace

__all__ = ["Namespace"]
