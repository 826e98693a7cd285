"""Tokens remembered for servers, so that on one's own machine everything works without logging in.

`conda-store serve` remembers the token of the server that it starts, the command line uses it where no other
authentication is asked for. A token belongs to one address and is sent to no other.

The file is `<user's configuration directory>/conda-store/credentials.json`, mode 0600:
`{"http://127.0.0.1:8080": {"token": "..."}}`. What the system's keyring keeps is `{"keyring": true}` there.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from conda_store.client.address import loopback_spellings, parse_address
from conda_store.client.locking import locked
from conda_store.errors import ConfigurationError

_SERVICE = "conda-store"


class Keyring(Protocol):
    """The part of the keyring library that is used; errors are its own."""

    def get_password(self, service: str, username: str) -> str | None: ...

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


def system_keyring() -> Keyring | None:
    """The keyring of the desktop; None where there is none, or the library is not installed."""
    try:
        import keyring
    except ImportError:
        return None
    found = keyring.get_keyring()
    return found if found.priority >= 1 else None


@dataclass(frozen=True)
class Remembered:
    """`url` is the address for which the token was remembered: the only one to which it may go."""

    url: str
    token: str = field(repr=False)


def credentials_path() -> Path:
    """Where this user's tokens are remembered."""
    import platformdirs

    return Path(platformdirs.user_config_dir("conda-store", appauthor=False)) / "credentials.json"


def remember(url: str, token: str, *, path: Path | None = None, keyring: Keyring | None = None) -> None:
    """Remember the token for the server at `url`, in place of an earlier one: in the keyring if it takes it.

    Raises:
        InvalidInput: `url` is no http or https URL.
        ConfigurationError: the file cannot be written or is not JSON.
    """
    address = parse_address(url)
    entry: dict[str, Any] = {"token": token}
    if keyring is not None:
        # each backend has errors of its own; what cannot be kept there is kept in the file
        with suppress(Exception):
            keyring.set_password(_SERVICE, address, token)
            entry = {"keyring": True}
    _change(path or credentials_path(), address, entry)


def forget(url: str, *, token: str | None = None, path: Path | None = None, keyring: Keyring | None = None) -> None:
    """Forget the token for `url`; where `token` is given only if it is still that one, in the file.

    Raises:
        ConfigurationError: the file cannot be written or is not JSON.
    """
    path = path or credentials_path()
    if path.exists():
        if keyring is not None and token is None:
            with suppress(Exception):  # it may have been taken out by hand
                keyring.delete_password(_SERVICE, parse_address(url))
        _change(path, parse_address(url), None, only_token=token)


def recall(
    url: str, *, path: Path | None = None, find_keyring: Callable[[], Keyring | None] = system_keyring
) -> Remembered | None:
    """The token remembered for `url`, None where there is none.

    `localhost`, `127.0.0.1` and `::1` are names of one machine but different listeners, so the answer says which of
    them the token was remembered for, and the request has to go there.

    Raises:
        ConfigurationError: the file cannot be read or is not JSON, or the keyring does not hand the token out.
    """
    address = parse_address(url)
    entries = _read(path or credentials_path())
    for candidate in (address, *loopback_spellings(address)):
        entry = entries.get(candidate)
        if isinstance(entry, dict) and isinstance(entry.get("token"), str):
            return Remembered(candidate, entry["token"])
        if isinstance(entry, dict) and entry.get("keyring") is True:
            return Remembered(candidate, _from_keyring(candidate, find_keyring()))
    return None


def _from_keyring(address: str, keyring: Keyring | None) -> str:
    token = None
    with suppress(Exception):  # locked, or its service is not running
        token = keyring.get_password(_SERVICE, address) if keyring is not None else None
    if token is None:
        raise ConfigurationError(
            f"the keyring does not hand out the token for {address}",
            hint="Unlock it, or log in again with `conda-store login`.",
        )
    return token


def _change(path: Path, address: str, entry: dict[str, Any] | None, *, only_token: str | None = None) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(path.with_suffix(".lock")):
            entries = _read(path)
            if entry is not None:
                entries[address] = entry
            elif only_token is None or entries.get(address, {}).get("token") == only_token:
                entries.pop(address, None)
            _write(path, entries)
    except OSError as error:
        raise ConfigurationError(
            f"credentials cannot be kept in {path}: {error.strerror}", hint="Is the directory yours, and writable?"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(f"credentials cannot be read from {path}: {error.strerror}") from error
    except ValueError:
        entries = None
    if not isinstance(entries, dict):
        raise ConfigurationError(
            f"{path} holds no credentials in JSON", hint="Remove the file; `conda-store serve` writes it anew."
        )
    return entries


def _write(path: Path, entries: dict[str, Any]) -> None:
    """Whole or not at all; `mkstemp` makes the file with mode 0600."""
    descriptor, staging = tempfile.mkstemp(dir=path.parent, prefix=".credentials-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(entries, file, indent=2)
            file.write("\n")
        Path(staging).replace(path)
    except BaseException:
        Path(staging).unlink(missing_ok=True)
        raise
