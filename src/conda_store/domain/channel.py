"""Channels: from what people write to a URL, and a URL without its secrets."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_TOKEN_PATH = re.compile(r"/t/[^/]+")


def channel_url(name: str, alias: str) -> str:
    """The URL of a channel: short names are below the alias; labels and paths keep what follows."""
    if "://" in name:
        return name.rstrip("/")
    if name.startswith("/"):
        return f"file://{name.rstrip('/')}"
    return f"{alias.rstrip('/')}/{name.strip('/')}"


def without_credentials(url: str) -> str:
    """The URL without user, password or `/t/<token>`: the only form that is stored, logged or shown."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, _TOKEN_PATH.sub("", parts.path, count=1), parts.query, parts.fragment))
