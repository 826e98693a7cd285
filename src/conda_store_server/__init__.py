"""The names by which configuration files of earlier servers import what they need: all of it is `conda_store`'s."""

from typing import NoReturn

from conda_store import __version__
from conda_store.config.core import data_directory

CONDA_STORE_DIR = data_directory()

__all__ = ["CONDA_STORE_DIR", "__version__"]


def __getattr__(name: str) -> NoReturn:
    """
    Raises:
        ImportError: with what to do instead, which an AttributeError would not show to who imports.
    """
    if name == "BuildKey":
        raise ImportError(
            "conda_store_server.BuildKey is gone: c.CondaStore.build_key_version chooses the form of keys"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
