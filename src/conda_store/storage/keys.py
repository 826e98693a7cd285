"""The keys of blobs, and the paths under which a store keeps them."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath

from conda_store.errors import InvalidInput

MAX_KEY_LENGTH = 1024
# file systems take 255 bytes for a name, and a blob being written has a longer name than a finished one
_MAX_SEGMENT_BYTES = 200
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
# the file of a blob that is being written is called so; no key may be
_UNFINISHED = re.compile(r"#\d+$")


def stored_path(key: str) -> str:
    """Where a store keeps the blob: the key itself, names of more than 200 bytes shortened by a digest.

    Raises:
        InvalidInput: it is no relative path of plain names.
    """
    if problem := _problem(key):
        raise InvalidInput(f"blob key {key[:80]!r} {problem}")
    return "/".join(_shortened(segment) for segment in key.split("/"))


def is_unfinished(file_name: str) -> bool:
    """Whether the file is one that a store was writing."""
    return _UNFINISHED.search(file_name) is not None


def _problem(key: str) -> str | None:
    if not key:
        return "is empty"
    if len(key) > MAX_KEY_LENGTH:
        return f"is longer than {MAX_KEY_LENGTH} characters"
    if _FORBIDDEN.search(key):
        return "holds a control character or a backslash"
    segments = key.split("/")
    if any(segment in {"", ".", ".."} for segment in segments):
        return "is not a relative path of plain names"
    if any(_UNFINISHED.search(segment) for segment in segments):
        return "holds a name that ends in # and digits, as unfinished blobs do"
    return None


def _shortened(segment: str) -> str:
    encoded = segment.encode()
    if len(encoded) <= _MAX_SEGMENT_BYTES:
        return segment
    suffix = "".join(PurePosixPath(segment).suffixes[-2:])
    suffix = suffix if len(suffix) <= 10 else ""
    head = encoded[:100].decode(errors="ignore")
    return f"{head}-{hashlib.sha256(encoded).hexdigest()}{suffix}"
