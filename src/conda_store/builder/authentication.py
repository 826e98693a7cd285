"""Credentials for rattler and uv: in memory only, for as long as they are needed.

Both want a file. A file without a name (memfd) is one that no other user can open, that is in no directory, and that is
gone with the process, however it ends.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rattler import Config

from conda_store.builder.options import BuilderOptions


@contextmanager
def unnamed_file(text: str) -> Iterator[int]:
    """The descriptor of a file with the text, which no name leads to."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("conda-store")
    else:
        descriptor, path = tempfile.mkstemp()
        os.unlink(path)  # noqa: PTH108
    try:
        os.write(descriptor, text.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def entries(options: BuilderOptions) -> Mapping[str, Any]:
    """rattler's entries, by host: those of the operator's file, and over them those of the namespace."""
    found: dict[str, Any] = {}
    if options.authentication_file is not None:
        try:
            found = json.loads(options.authentication_file.read_text())
        except (OSError, ValueError):
            found = {}
    return found | options.credentials.rattler_entries()


@contextmanager
def client_config(options: BuilderOptions) -> Iterator[Config]:
    """For a client that is made inside: it reads the credentials when it is made."""
    if not options.credentials:
        if options.authentication_file is None:
            yield Config()
        else:
            yield _config(str(options.authentication_file))
        return
    with unnamed_file(json.dumps(entries(options))) as descriptor:
        yield _config(f"/dev/fd/{descriptor}")


def _config(path: str) -> Config:
    quoted = path.replace("\\", "\\\\").replace('"', '\\"')
    return Config.from_toml(f'authentication-override-file = "{quoted}"')


@contextmanager
def uv_credentials(options: BuilderOptions) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """Variables and open descriptors with which uv finds the credentials; the variables hold none."""
    text = options.credentials.netrc()
    if not text:
        yield {}, ()
        return
    with unnamed_file(text) as descriptor:
        yield {"NETRC": f"/dev/fd/{descriptor}"}, (descriptor,)
