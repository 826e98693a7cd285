"""Where artifacts are kept."""

from conda_store.config.core import LocalStorage

__all__ = ["LocalStorage"]
