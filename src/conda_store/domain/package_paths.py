"""What a package lists as its files: `info/paths.json` (CEP 34), or the `files` and `has_prefix` of earlier ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_OLD_PLACEHOLDER = "/opt/anaconda1anaconda2anaconda3"


def path_entries(read: Callable[[str], bytes | None]) -> list[dict[str, Any]]:
    """The entries as paths.json has them, `path_type` always given; without paths.json it is missing, since nothing
    tells of a link that it is one. `read` gives the content of a file in the package's `info`, None where it has none.

    Raises:
        ValueError: they cannot be read.
    """
    if (listed := read("paths.json")) is not None:
        document = json.loads(listed)
        entries: list[dict[str, Any]] | None = document.get("paths") if isinstance(document, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("its info/paths.json is no list of files")
        for entry in entries:
            if not isinstance(entry.setdefault("path_type", "hardlink"), str):
                raise ValueError("its info/paths.json has a path_type that is no text")
        return entries
    if (names := read("files")) is None:
        raise ValueError("it has neither info/paths.json nor info/files")
    prefixed = _prefixed((read("has_prefix") or b"").decode())
    return [{"_path": path, **prefixed.get(path, {})} for path in names.decode().splitlines() if path]


def _prefixed(text: str) -> dict[str, dict[str, str]]:
    """Lines of `path`, or `placeholder mode path`, any of them in quotes."""
    found = {}
    for line in filter(None, text.splitlines()):
        parts = [part.strip("\"'") for part in re.findall(r'"[^"]*"|\'[^\']*\'|\S+', line)]
        placeholder, mode, path = parts if len(parts) == 3 else (_OLD_PLACEHOLDER, "text", parts[-1])
        found[path] = {"prefix_placeholder": placeholder, "file_mode": mode}
    return found
