"""Logging in without anybody else: for trying out, and with a file of passwords."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from traitlets import Bool, Unicode

from conda_store.auth.providers.base import Authentication, AuthenticationToken
from conda_store.errors import ConfigurationError

if TYPE_CHECKING:
    from conda_store.auth.passwords import PasswordFile


class DummyAuthentication(Authentication):
    """Everybody who knows the one password is let in under any name, as admin of everything: for trying out."""

    has_passwords: ClassVar[bool] = True

    password = Unicode("password", help="The password of everybody; empty: any will do.", config=True)
    serve_to_others = Bool(
        False, help="Start with it even where others than this machine can reach the server.", config=True
    )

    def check_password(self, name: str, password: str) -> AuthenticationToken | None:
        if self.password and not hmac.compare_digest(self.password.encode(), password.encode("utf-8", "replace")):
            return None
        return AuthenticationToken(name or "default", {"*/*": ["admin"]})

    def problem(self, *, is_open: bool) -> str | None:
        if is_open and not self.serve_to_others:
            return (
                "c.CondaStoreServer.authentication_class is DummyAuthentication, which makes everybody admin, and the "
                "server can be reached by others"
            )
        return None


class PasswordFileAuthentication(Authentication):
    """Names and hashed passwords in a file, which `conda-store password` makes the lines of."""

    has_passwords: ClassVar[bool] = True

    password_file = Unicode("", help="The file: `name:hash` or `name:hash:group,group` on each line.", config=True)

    def check_password(self, name: str, password: str) -> AuthenticationToken | None:
        entry = self._file().check(name, password)
        return None if entry is None else AuthenticationToken(entry.name, groups=entry.groups)

    def problem(self, *, is_open: bool) -> str | None:
        if not self.password_file:
            return "c.PasswordFileAuthentication.password_file is not set"
        try:
            self._file().entries()
        except ConfigurationError as error:
            return error.message
        return None

    def _file(self) -> PasswordFile:
        from conda_store.auth.passwords import PasswordFile

        path = Path(self.password_file)
        known: PasswordFile | None = getattr(self, "_known", None)
        if known is None or known.path != path:
            known = self._known = PasswordFile(path)
        return known
