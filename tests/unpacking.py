"""Unpacking archives that we have made ourselves."""

from __future__ import annotations

from pathlib import Path
from tarfile import TarFile


def unpack_all(archive: TarFile, target: Path) -> None:
    """All of it as it stands in the archive. Debian 12's Python does not know the argument `filter` yet."""
    archive.extraction_filter = lambda member, _path: member  # type: ignore[method-assign,assignment,misc]
    archive.extractall(target)
