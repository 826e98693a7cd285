"""A session as somebody asks for it: by address and kind of login."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from conda_store.client.credentials import recall
from conda_store.client.login import Anonymous, Login, Password, Token
from conda_store.errors import ConfigurationError


class Authentication(StrEnum):
    NONE = "none"
    TOKEN = "token"  # noqa: S105 - the name of a kind of login
    BASIC = "basic"


def choose_login(
    url: str,
    authentication: Authentication | None,
    environ: Mapping[str, str],
    *,
    credentials: Path | None = None,
) -> tuple[str, Login]:
    """The address to go to and how to log in there.

    `authentication` None means: with the token remembered for this address, else anonymously. The address differs
    from `url` only where the token was remembered for another name of this machine's loopback.

    Raises:
        ConfigurationError: token or password are asked for, but not in the environment.
    """
    if authentication is Authentication.NONE:
        return url, Anonymous()
    if authentication is Authentication.BASIC:
        missing = [name for name in ("CONDA_STORE_USERNAME", "CONDA_STORE_PASSWORD") if not environ.get(name)]
        if missing:
            raise ConfigurationError(f"--auth basic needs {' and '.join(missing)} in the environment")
        return url, Password(environ["CONDA_STORE_USERNAME"], environ["CONDA_STORE_PASSWORD"])
    if authentication is Authentication.TOKEN and environ.get("CONDA_STORE_TOKEN"):
        return url, Token(environ["CONDA_STORE_TOKEN"])
    if remembered := recall(url, path=credentials):
        return remembered.url, Token(remembered.token)
    if authentication is Authentication.TOKEN:
        raise ConfigurationError(
            "--auth token needs CONDA_STORE_TOKEN in the environment",
            hint="`conda-store token` and the server's user page make tokens.",
        )
    return url, Anonymous()
