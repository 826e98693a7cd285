"""How the image of a build is pulled."""

from __future__ import annotations

import re

from conda_store.server.options import ServerOptions

# a part of a repository's name (OCI distribution specification): our names may hold more than that
_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def image_name(options: ServerOptions, namespace: str, name: str, tag: str = "") -> str:
    """`host/namespace/name`, with a tag where one is given; empty where no image can have that name."""
    parts_fit = _PART.fullmatch(namespace) and _PART.fullmatch(name)
    if not options.enable_registry or not parts_fit or (tag and not _TAG.fullmatch(tag)):
        return ""
    return f"{options.registry_external_url}/{namespace}/{name}" + (f":{tag}" if tag else "")
