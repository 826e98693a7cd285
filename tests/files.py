"""What lies in a directory while others work in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def files_below(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file, but no symlink, with its content; what is removed meanwhile is left out."""
    for parent, _, names in os.walk(directory):
        for path in (Path(parent, name) for name in names):
            with suppress(FileNotFoundError):
                if path.is_file() and not path.is_symlink():
                    yield path, path.read_bytes()
