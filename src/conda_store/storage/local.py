"""Blobs in a directory of this machine."""

from __future__ import annotations

from pathlib import Path

from obstore.store import LocalStore

from conda_store.errors import ConfigurationError
from conda_store.storage.blobs import BlobStore


def local_blobs(directory: Path) -> BlobStore:
    """Blobs as files below the directory, which is made where it is missing, for our own eyes: some are of private
    environments.

    Raises:
        ConfigurationError: it cannot be made or written to.
    """
    root = directory.absolute()
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the directory for blobs {str(root)!r} cannot be made: {error.strerror}",
            hint="Name a directory that the service may write to.",
        ) from error
    return BlobStore(LocalStore(root), root=root)
