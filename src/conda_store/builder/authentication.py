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
from pathlib import Path
from typing import Any

from rattler import Config

from conda_store.builder.forwarding import forwarder
from conda_store.builder.options import BuilderOptions
from conda_store.domain.addresses import AddressPolicy


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
        yield config_of(options.authentication_file, options.addresses)
        return
    with unnamed_file(json.dumps(entries(options))) as descriptor:
        yield config_of(f"/dev/fd/{descriptor}", options.addresses)


def config_of(authentication_file: Path | str | None, addresses: AddressPolicy) -> Config:
    """rattler's configuration: where the credentials are, and the proxy that sees to the policy of addresses."""
    lines = []
    if authentication_file is not None:
        lines.append(f"authentication-override-file = {json.dumps(str(authentication_file), ensure_ascii=False)}")
    if (used := forwarder(addresses)) is not None:
        lines.append(f'[proxy-config]\nhttp = "{used.url}"\nhttps = "{used.url}"')
    return Config.from_toml("\n".join(lines)) if lines else Config()


@contextmanager
def uv_variables(options: BuilderOptions) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """Variables and open descriptors with which uv finds the credentials, of which the variables hold none, and asks
    what it may ask."""
    used = forwarder(options.addresses)
    variables = used.variables if used is not None else {}
    text = options.credentials.netrc()
    if not text:
        yield variables, ()
        return
    with unnamed_file(text) as descriptor:
        yield variables | {"NETRC": f"/dev/fd/{descriptor}"}, (descriptor,)
