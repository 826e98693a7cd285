"""The names by which configuration files of earlier servers import what they need: all of it is `conda_store`'s."""

from conda_store import __version__
from conda_store.config.core import data_directory

CONDA_STORE_DIR = data_directory()

__all__ = ["CONDA_STORE_DIR", "__version__"]
