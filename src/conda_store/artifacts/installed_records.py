"""What `conda-meta` says of installed packages (CEP 34): which files hold a placeholder; and what not to pass on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PackagedFile:
    """What a package says of a file that holds its placeholder; `sha256` (hex) is of the file as packaged."""

    placeholder: bytes
    is_text: bool
    sha256: str | None


def packaged_files(prefix: Path) -> dict[str, PackagedFile]:
    """The files with placeholders of all installed packages, by path, from `conda-meta`."""
    found: dict[str, PackagedFile] = {}
    for record in sorted((prefix / "conda-meta").glob("*.json")):
        text = record.read_bytes()
        if b'"prefix_placeholder"' not in text:
            continue
        for item in json.loads(text).get("paths_data", {}).get("paths", ()):
            if placeholder := item.get("prefix_placeholder"):
                found[item["_path"]] = PackagedFile(
                    placeholder.encode(), item.get("file_mode") != "binary", item.get("sha256")
                )
    return found


_CACHE_KEYS = ("extracted_package_dir", "package_tarball_full_path")
_STRING = rb'"(?:[^"\\]|\\.)*"'
_MEMBER = re.compile(rb'"\w+"\s*:\s*' + _STRING + rb"\s*,\s*")
_LINK = re.compile(rb'("link"\s*:\s*\{\s*"source"\s*:\s*)' + _STRING)


def without_cache_paths(record: bytes) -> bytes:
    """A record without the paths of this machine's package cache.

    They are cut out of the text, since records of large packages hold megabytes; where the text is not laid out as
    installers do it, it is parsed.
    """
    text = record
    for key in _CACHE_KEYS:
        start = text.find(b'"%b"' % key.encode())
        if start >= 0:
            member = _MEMBER.match(text, start)
            if member is None:
                return _parsed_without_cache_paths(record)
            text = text[:start] + text[member.end() :]
    start = text.find(b'"link"')
    if start >= 0:
        link = _LINK.match(text, start)
        if link is None:
            return _parsed_without_cache_paths(record)
        text = text[:start] + link[1] + b'""' + text[link.end() :]
    return text


def _parsed_without_cache_paths(text: bytes) -> bytes:
    record = json.loads(text)
    for key in _CACHE_KEYS:
        record.pop(key, None)
    if isinstance(record.get("link"), dict):
        record["link"]["source"] = ""
    return json.dumps(record, indent=2, ensure_ascii=False).encode()
