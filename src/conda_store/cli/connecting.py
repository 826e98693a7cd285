"""What the global options ask for, and the session that comes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conda_store.client.session import Session

DEFAULT_URL = "http://localhost:8080"
authentications = ("none", "token", "basic")


@dataclass
class Asked:
    """Filled in by the command group before a command runs. `auth` None: whatever is remembered."""

    url: str = DEFAULT_URL
    auth: str | None = None
    verifies_ssl: bool = True
    is_debugging: bool = False


@contextmanager
def connected(asked: Asked) -> Iterator[Session]:
    """A session with the server that is asked for; nothing is sent before it is used.

    Raises:
        CondaStoreError: no address, or no way to log in.
    """
    from conda_store.client.opening import Authentication, choose_login
    from conda_store.client.session import Session
    from conda_store.client.transport import Transport

    authentication = Authentication(asked.auth) if asked.auth is not None else None
    url, login = choose_login(asked.url, authentication, os.environ)
    with Session(Transport(url, login, verify_ssl=asked.verifies_ssl)) as session:
        yield session
