"""Puts the prefix into the files of an unpacked environment. Started by bin/conda-unpack; runs on Python >= 3.6.

Arguments: where the environment lies, the prefix to put in, and whether to name the files ("" for no).

Each line of conda-unpack.files has a letter: `P` names a placeholder, the lines below it files that hold it: `T` is
text, `S` a script whose first line asks env for a program of the environment, `B` a binary, in which the strings
keep their length.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

# longer ones are cut by Linux
LONGEST_SHEBANG = 127
ENV_LINE = re.compile(rb"(#![ \t]*)/usr/bin/env (?:-S )?([^\n]*)")


def main(root: str, new_prefix: str, verbose: str) -> None:
    prefix = os.fsencode(new_prefix)
    records = read_records(Path(root, "share/conda-store/conda-unpack.files"))
    for kind, placeholder, path in records:
        if kind == "B" and len(prefix) > len(placeholder):
            sys.exit(
                f"conda-unpack: the path {new_prefix} is too long for the binary file {path}: "
                f"{len(prefix)} characters, at most {len(placeholder)}"
            )
    for kind, placeholder, path in records:
        file = Path(root, path)
        if file.is_file() and rewrite(file, kind, placeholder, prefix) and verbose:
            print(path)  # noqa: T201


def read_records(file: Path) -> "list[tuple[str, bytes, str]]":
    records = []
    placeholder = b""
    for line in file.read_text(encoding="utf-8", errors="surrogateescape").split("\n")[:-1]:
        kind, text = line[0], line[2:]
        if kind == "P":
            placeholder = os.fsencode(text)
        else:
            path = re.sub(r"\\(.)", lambda found: found.group(1).replace("n", "\n"), text)
            records.append((kind, placeholder, path))
    return records


def rewrite(file: Path, kind: str, placeholder: bytes, prefix: bytes) -> bool:
    """Replace the file by one with the prefix, of the same mode and time. Whether there was anything to do."""
    old = file.read_bytes()
    new = in_binary(old, placeholder, prefix) if kind == "B" else old.replace(placeholder, prefix)
    if kind == "S":
        new = with_shebang(new, prefix)
    if new == old:
        return False
    # replaced, not written into: the file may be the very program that runs this
    other = file.with_name(file.name + ".unpacking")
    other.write_bytes(new)
    shutil.copystat(str(file), str(other))
    other.replace(file)
    if kind == "B" and platform.system() == "Darwin" and platform.machine() == "arm64":
        subprocess.call(["/usr/bin/codesign", "-s", "-", "-f", str(file)], stderr=subprocess.DEVNULL)
    return True


def in_binary(data: bytes, placeholder: bytes, prefix: bytes) -> bytes:
    """Every string that holds the placeholder, up to its NUL byte, keeps its length: NUL bytes fill it up."""
    return re.sub(
        re.escape(placeholder) + b"[^\0]*",
        lambda found: found.group().replace(placeholder, prefix).ljust(len(found.group()), b"\0"),
        data,
    )


def with_shebang(data: bytes, prefix: bytes) -> bytes:
    """The program of the first line by its full path; through a shell where Linux would not take that line."""
    first = ENV_LINE.match(data)
    if first is None:
        return data
    line = first.group(1) + prefix + b"/bin/" + first.group(2)
    if len(line) <= LONGEST_SHEBANG and not re.search(rb"\s", prefix):
        return line + data[first.end() :]
    program, _, arguments = first.group(2).partition(b" ")
    if not program.startswith(b"python") or re.search(rb"[\"$`\\]", prefix):
        return data
    # a line of shell for the shell, a string for Python
    shell = b"#!/bin/sh\n'''exec' \"" + prefix + b"/bin/" + program + b'" ' + arguments
    return shell.rstrip() + b' "$0" "$@" #\'\'\'' + data[first.end() :]


if __name__ == "__main__":
    main(*sys.argv[1:])
