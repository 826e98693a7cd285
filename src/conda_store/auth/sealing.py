"""Secrets at rest: encrypted and authenticated with a key that is not in the database.

cryptography is loaded when there is a secret: it takes 5 MB in each of our processes.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from conda_store.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class Sealer:
    """Seals with the first key, opens with any.

    `load` gives the keys when they are first needed (see `keys_of_file`).

    Raises:
        ConfigurationError: by every method, where there is no usable key, or none that opens what was sealed.
    """

    def __init__(self, load: Callable[[], Sequence[str]]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._keys: MultiFernet | None = None

    def seal(self, secret: str, about: str) -> bytes:
        """`about` says what the secret is for: it opens for nothing else."""
        return self._fernet().encrypt(json.dumps([about, secret]).encode())

    def open(self, sealed: bytes, about: str) -> str:
        from cryptography.fernet import InvalidToken

        try:
            given, secret = json.loads(self._fernet().decrypt(sealed))
        except InvalidToken as error:
            raise ConfigurationError(
                f"what was sealed for {about} cannot be opened with any of the keys",
                hint="Was the key file lost or exchanged? Put the former key back behind the new one, or set it anew.",
            ) from error
        if given != about:
            raise ConfigurationError(f"what was sealed for something else was put in the place of {about}")
        return str(secret)

    def sealed_anew(self, sealed: bytes) -> bytes:
        """The same secret, sealed with the first key."""
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet().rotate(sealed)
        except InvalidToken as error:
            raise ConfigurationError("a credential cannot be opened with any of the keys") from error

    def _fernet(self) -> MultiFernet:
        from cryptography.fernet import Fernet, MultiFernet

        with self._lock:
            if self._keys is None:
                try:
                    keys = [Fernet(key) for key in self._load()]
                except (ValueError, TypeError) as error:
                    raise ConfigurationError(
                        "a key for credentials is none",
                        hint="`conda-store credential new-key` prints one: 32 bytes in URL-safe base64.",
                    ) from error
                if not keys:
                    raise ConfigurationError("there is no key to seal credentials with")
                self._keys = MultiFernet(keys)
            return self._keys


def new_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def no_keys() -> Sequence[str]:
    return ()


def keys_of_file(path: Path) -> list[str]:
    """The keys in a file, one a line, the first of which seals; where there is no file, it is made with one key.

    Raises:
        ConfigurationError: others than its owner may read it, or it cannot be read or made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_key_file(path)
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(
                f"the key file {path} may be read by others", hint=f"Take that away: chmod 600 {path}"
            )
        return path.read_text().split()
    except OSError as error:
        raise ConfigurationError(f"the key file {path} cannot be used: {error.strerror}") from error


def _make_key_file(path: Path) -> None:
    """Whole or not at all: one without a key would stay. Of two processes that make it the first one's is kept."""
    descriptor, staging = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(new_key() + "\n")
        try:
            os.link(staging, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            Path(staging).replace(path)
    finally:
        Path(staging).unlink(missing_ok=True)
