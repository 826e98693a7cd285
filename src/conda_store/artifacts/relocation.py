"""Taking the place where an environment was built out of its files, so that it can be put into another.

Installers replace a package's placeholder by the prefix: in text as it is, in binaries padded with NUL bytes to
the old length. Here that is undone: the files of an archive hold the placeholder again, which has room for any
prefix that is not longer, and nothing of the server's paths.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from conda_store.artifacts.installed_records import PackagedFile

# stands for the prefix in text that no package brought: pip's scripts, the environment's state, history
OWN_PLACEHOLDER = b"/_conda_store_prefix_placeholder_"


class Rewrite(StrEnum):
    """How conda-unpack puts the new prefix in; the letters of its list of files."""

    TEXT = "T"
    SCRIPT = "S"  # text whose first line asks `env` for a program of the environment
    BINARY = "B"


# placeholder, how, and path of a file that conda-unpack rewrites
Rewritten = tuple[bytes, Rewrite, str]


@dataclass(frozen=True)
class Relocatable:
    """A file's content for the archive. `rewrite` is None where nothing is left for conda-unpack to do."""

    data: bytes
    rewrite: Rewrite | None
    placeholder: bytes = b""


def relocate(path: str, data: bytes, prefix: bytes, packaged: PackagedFile | None) -> Relocatable | None:
    """The content of a file that holds the prefix, ready for the archive; None where it is better left out
    (compiled Python that would be stale: it is compiled again from its source)."""
    if packaged is not None and (packaged.is_text or (data.find(b"\0") >= 0 and not path.endswith(".pyc"))):
        return _packaged(data, prefix, packaged)
    if path.endswith(".pyc"):
        if packaged is not None and (restored := _verified(data, prefix, packaged)) is not None:
            return Relocatable(restored, Rewrite.BINARY, packaged.placeholder)
        compiled = relocate_compiled(data, prefix)
        return Relocatable(compiled, None) if compiled is not None else None
    if b"\0" in data:
        stand_in = _stand_in(len(prefix))
        return Relocatable(data.replace(prefix, stand_in), Rewrite.BINARY, stand_in)
    return _text(data, prefix, OWN_PLACEHOLDER)


def _packaged(data: bytes, prefix: bytes, packaged: PackagedFile) -> Relocatable:
    if packaged.is_text:
        return _text(data, prefix, packaged.placeholder)
    restored = _verified(data, prefix, packaged) or expand(data, prefix, packaged.placeholder)
    if restored is None:
        stand_in = _stand_in(len(prefix))
        return Relocatable(data.replace(prefix, stand_in), Rewrite.BINARY, stand_in)
    return Relocatable(restored, Rewrite.BINARY, packaged.placeholder)


def _verified(data: bytes, prefix: bytes, packaged: PackagedFile) -> bytes | None:
    """The file as it was packaged, proved by its digest."""
    restored = expand(data, prefix, packaged.placeholder)
    if restored is None or hashlib.sha256(restored).hexdigest() != packaged.sha256:
        return None
    return restored


def expand(data: bytes, prefix: bytes, placeholder: bytes) -> bytes | None:
    """Binary data with the placeholder where the prefix is; the NUL bytes behind each string give the room.
    None where they do not suffice, so that it was not made by replacing this placeholder."""
    growth = len(placeholder) - len(prefix)
    if growth < 0:
        return None
    pieces = []
    position = 0
    while (start := data.find(prefix, position)) >= 0:
        end = data.find(b"\0", start)
        if end < 0:
            return None
        string = data[start:end]
        room = growth * string.count(prefix)
        if data[end : end + room].count(0) != room:
            return None
        pieces += [data[position:start], string.replace(prefix, placeholder)]
        position = end + room
    pieces.append(data[position:])
    return b"".join(pieces)


_SHEBANG = re.compile(rb"(#![ \t]*)(/[^\n]*)")


def _text(data: bytes, prefix: bytes, placeholder: bytes) -> Relocatable:
    rewrite = Rewrite.TEXT
    first = _SHEBANG.match(data)
    if first is not None and first[2].startswith(prefix + b"/bin/"):
        # runs in the activated environment even before conda-unpack, which then names the program in full
        program, _, arguments = first[2][len(prefix) + len("/bin/") :].partition(b" ")
        env = b"/usr/bin/env -S %b %b" % (program, arguments) if arguments else b"/usr/bin/env " + program
        data = first[1] + env + data[first.end() :]
        rewrite = Rewrite.SCRIPT
    return Relocatable(data.replace(prefix, placeholder), rewrite, placeholder)


def _stand_in(length: int) -> bytes:
    """A neutral path of that length, for binaries that have no room for another."""
    return (b"/_conda_store_prefix" + b"_" * length)[:length]


# --- compiled Python ----------------------------------------------------------------------------------------

_REFERENCED = 0x80


def relocate_compiled(data: bytes, prefix: bytes) -> bytes | None:
    """A `.pyc` whose file names are relative to the prefix: Python puts the real ones in when it imports.
    None where the prefix is anywhere else in it, as a constant of a module that was rewritten."""
    pieces = []
    position = 0
    marker = prefix + b"/"
    while (start := data.find(prefix, position)) >= 0:
        found = _marshalled_string(data, start)
        if found is None or not data.startswith(marker, start):
            return None
        head, length, size_bytes = found
        text = data[start + len(marker) : start + length]
        if not text.endswith(b".py") or prefix in text:
            return None
        pieces += [data[position : start - size_bytes - 1], head, len(text).to_bytes(size_bytes, "little"), text]
        position = start + length
    pieces.append(data[position:])
    return b"".join(pieces)


def _marshalled_string(data: bytes, start: int) -> tuple[bytes, int, int] | None:
    """The type byte, length and width of the length of the marshalled string that begins at `start`."""
    for size_bytes, kinds in ((1, b"zZ"), (4, b"aAuts")):
        head = start - size_bytes - 1
        length = int.from_bytes(data[start - size_bytes : start], "little")
        if head >= 0 and data[head] & ~_REFERENCED in kinds and 0 < length <= len(data) - start:
            return data[head : head + 1], length, size_bytes
    return None
