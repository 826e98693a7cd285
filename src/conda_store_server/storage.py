"""Where artifacts are kept."""

from traitlets.config import LoggingConfigurable

from conda_store.config.core import LocalStorage

__all__ = ["LocalStorage", "S3Storage"]


class S3Storage(LoggingConfigurable):
    """A name for files to import: whoever chooses it is told that artifacts cannot be kept there yet."""
