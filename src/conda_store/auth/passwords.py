"""Passwords in a file, hashed with argon2id: `name:hash` or `name:hash:group,group` on each line."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from conda_store.domain.names import name_problem
from conda_store.errors import ConfigurationError, InvalidInput

_HASHER = PasswordHasher()  # argon2id with the parameters of RFC 9106, 64 MiB each
# however many log in at once, memory stays bounded
_AT_ONCE = threading.BoundedSemaphore(2)
_LONGEST = 1024


@dataclass(frozen=True)
class Entry:
    name: str
    hash: str
    groups: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ":".join([self.name, self.hash, *([",".join(self.groups)] if self.groups else [])])


def make_entry(name: str, password: str, groups: tuple[str, ...] = ()) -> Entry:
    """
    Raises:
        InvalidInput: the name cannot be that of a namespace, a group cannot be written, or there is no password.
    """
    if problem := name_problem(name):
        raise InvalidInput(f"user {problem}", hint="A user has a namespace of their name.")
    for group in groups:
        if not group or not group.isprintable() or set(group) & {",", ":"}:
            raise InvalidInput(f"the group {group!r} cannot be written", hint="Use neither commas nor colons.")
    if not password or len(password) > _LONGEST:
        raise InvalidInput(f"a password has 1 to {_LONGEST} characters")
    return Entry(name, _HASHER.hash(password), groups)


class PasswordFile:
    """Read again whenever it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._entries: dict[str, Entry] = {}

    def check(self, name: str, password: str) -> Entry | None:
        """The entry of somebody who knows the password. A name that is not there takes as long as a wrong password.

        Raises:
            ConfigurationError: the file cannot be read, or a line of it is none.
        """
        if len(password) > _LONGEST:
            return None
        entry = self.entries().get(name)
        with _AT_ONCE:
            is_right = _is_right(entry.hash if entry else _nobodys_hash(), password)
        return entry if is_right else None

    def entries(self) -> dict[str, Entry]:
        """
        Raises:
            ConfigurationError: the file cannot be read, or a line of it is none.
        """
        try:
            status = self.path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen:
                self._entries = _parsed(self.path, self.path.read_text(encoding="utf-8"))
                self._seen = seen
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"the password file {self.path} cannot be read: {getattr(error, 'strerror', None) or error}"
            ) from error
        return self._entries


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _HASHER.hash("nobody has this password, and nobody has this name")


def _is_right(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password.encode("utf-8", "replace")) and hashed != _nobodys_hash()
    except (VerificationError, InvalidHashError):
        return False


def _parsed(path: Path, text: str) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.strip().partition(":")
        hashed, _, groups = rest.partition(":")
        problem = name_problem(name) or ("has no hash of argon2" if not hashed.startswith("$argon2") else None)
        if problem or name in entries:
            # the line itself is never shown: it may hold a password
            raise ConfigurationError(
                f"{path}, line {number}: {problem or 'the name stands there twice'}",
                hint="`conda-store password NAME` prints a line that can be added.",
            )
        entries[name] = Entry(name, hashed, tuple(group for group in groups.split(",") if group))
    return entries
