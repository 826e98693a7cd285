"""Tokens remembered for servers, so that on one's own machine everything works without logging in.

`conda-store serve` remembers the token of the server that it starts, the command line uses it where no other
authentication is asked for. A token belongs to one address and is sent to no other.

The file is `<user's configuration directory>/conda-store/credentials.json`, mode 0600:
`{"http://127.0.0.1:8080": {"token": "..."}}`.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conda_store.client.address import loopback_spellings, parse_address
from conda_store.client.locking import locked
from conda_store.errors import ConfigurationError


@dataclass(frozen=True)
class Remembered:
    """`url` is the address for which the token was remembered: the only one to which it may go."""

    url: str
    token: str = field(repr=False)


def credentials_path() -> Path:
    """Where this user's tokens are remembered."""
    import platformdirs

    return Path(platformdirs.user_config_dir("conda-store", appauthor=False)) / "credentials.json"


def remember(url: str, token: str, *, path: Path | None = None) -> None:
    """Remember the token for the server at `url`, in place of an earlier one.

    Raises:
        InvalidInput: `url` is no http or https URL.
        ConfigurationError: the file cannot be written or is not JSON.
    """
    _change(path or credentials_path(), parse_address(url), {"token": token})


def forget(url: str, *, token: str | None = None, path: Path | None = None) -> None:
    """Forget the token for `url`; where `token` is given only if it is still that one.

    Raises:
        ConfigurationError: the file cannot be written or is not JSON.
    """
    path = path or credentials_path()
    if path.exists():
        _change(path, parse_address(url), None, only_token=token)


def recall(url: str, *, path: Path | None = None) -> Remembered | None:
    """The token remembered for `url`, None where there is none.

    `localhost`, `127.0.0.1` and `::1` are names of one machine but different listeners, so the answer says which of
    them the token was remembered for, and the request has to go there.

    Raises:
        ConfigurationError: the file cannot be read or is not JSON.
    """
    address = parse_address(url)
    entries = _read(path or credentials_path())
    for candidate in (address, *loopback_spellings(address)):
        entry = entries.get(candidate)
        if isinstance(entry, dict) and isinstance(entry.get("token"), str):
            return Remembered(candidate, entry["token"])
    return None


def _change(path: Path, address: str, entry: dict[str, str] | None, *, only_token: str | None = None) -> None:
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
