"""Logins to registries from a file as `docker login` and `podman login` write it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from conda_store.artifacts.oci.remote import DOCKER_HUB, Login
from conda_store.errors import ConfigurationError

_HUB_NAMES = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", DOCKER_HUB)


def login_for(file: Path, host: str) -> Login | None:
    """The login for a registry (`host` with its port) in `{"auths": {host: {"auth": base64 of user:password}}}`.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        auths = json.loads(file.read_bytes()).get("auths") or {}
        names = _HUB_NAMES if host == DOCKER_HUB else (host, f"https://{host}", f"http://{host}")
        entry = next((auths[name] for name in names if name in auths), None)
        if not entry:
            return None
        if "auth" in entry:
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        else:
            user, password = entry["username"], entry["password"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        # what is wrong may hold a part of what is secret
        reason = error.strerror if isinstance(error, OSError) else "it is not what `docker login` writes"
        raise ConfigurationError(f"the file of logins {str(file)!r} cannot be read: {reason}") from None
    return Login(user, password)
