"""Reading configuration files and options of the programs."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traitlets import Bool, TraitError, Unicode
from traitlets.config import Application
from traitlets.config.loader import ConfigError

from conda_store.auth.providers.base import Authentication
from conda_store.auth.providers.oauth import (
    GenericOAuthAuthentication,
    GithubOAuthAuthentication,
    JupyterHubOAuthAuthentication,
)
from conda_store.auth.providers.openid import OpenIDConnectAuthentication
from conda_store.auth.providers.simple import DummyAuthentication, PasswordFileAuthentication
from conda_store.config.core import CondaStore, LocalStorage
from conda_store.config.server import (
    AuthenticationBackend,
    CondaStoreServer,
    CondaStoreWorker,
    RBACAuthorizationBackend,
)
from conda_store.errors import ConfigurationError

_WRITTEN = "Options of the configuration are written --Class.option=value; --help-all lists them."


class Program(Application):
    """What all programs read: a Python file with `c.Class.option = value`, and `--Class.option=value`."""

    name = "conda-store"
    description = "conda-store manages, builds and serves conda environments."
    classes = [  # noqa: RUF012 - traitlets' own form
        CondaStore,
        LocalStorage,
        CondaStoreServer,
        CondaStoreWorker,
        AuthenticationBackend,
        RBACAuthorizationBackend,
        Authentication,
        DummyAuthentication,
        PasswordFileAuthentication,
        GenericOAuthAuthentication,
        GithubOAuthAuthentication,
        JupyterHubOAuthAuthentication,
        OpenIDConnectAuthentication,
    ]
    config_file = Unicode("", help="Configuration file to read.", config=True)
    standalone = Bool(False, help="Start a worker along with the server.", config=True)
    # a broken file is not to be left out: what it forbids would be allowed
    raise_config_file_errors = Bool(True)
    aliases = {  # noqa: RUF012
        "config": "Program.config_file",
        "address": "CondaStoreServer.address",
        "port": "CondaStoreServer.port",
    }
    flags = {"standalone": ({"Program": {"standalone": True}}, "Start a worker along with the server.")}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self._parts: dict[type, Any] = {}

    def read(self, arguments: Sequence[str]) -> None:
        """Read file and command line, the latter counting more.

        Raises:
            ConfigurationError: the file is missing or broken, or an option cannot be understood.
        """
        self._refuse_unknown(arguments)
        try:
            self.parse_command_line(list(arguments))
            if self.extra_args:
                raise ConfigurationError(f"there is no argument {self.extra_args[0]!r}", hint=_WRITTEN)
            on_command_line = self.cli_config
            if self.config_file:
                self._read_file(Path(self.config_file).absolute())
            self.update_config(on_command_line)
            self._warn_of_mistyped_classes()
        except (TraitError, ConfigError) as error:
            raise ConfigurationError(f"the configuration cannot be used: {error}") from error

    def _refuse_unknown(self, arguments: Sequence[str]) -> None:
        """Options of classes that do not exist are warned of, for configurations of earlier servers."""
        known = {*self.aliases, *self.flags, "help", "help-all"}
        for argument in arguments:
            name = argument.removeprefix("--").partition("=")[0]
            if argument.startswith("--") and "." not in name and name not in known:
                raise ConfigurationError(f"there is no option --{name}", hint=_WRITTEN)

    def _read_file(self, path: Path) -> None:
        try:
            path.open("rb").close()
        except FileNotFoundError:
            raise ConfigurationError(
                f"the configuration file {str(path)!r} does not exist", hint="Name an existing file."
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"the configuration file {str(path)!r} cannot be read: {error.strerror}",
                hint="It has to be a file, and readable for the user that the program runs as.",
            ) from error
        try:
            self.load_config_file(str(path))
        except Exception as error:
            raise ConfigurationError(_why(error, str(path)), hint="Mend the configuration file.") from error

    def _warn_of_mistyped_classes(self) -> None:
        """Of an option that does not exist its class warns; nobody reads those of a class that does not exist.

        Other names are those of classes that the configuration brings, or that earlier servers had.
        """
        known = {cls.__name__ for cls in self.classes}
        own = getattr(self.config.CondaStoreServer.get("authentication_class"), "__mro__", ())
        for section in set(self.config) - known - {cls.__name__ for cls in own}:
            if meant := difflib.get_close_matches(section, known, n=1, cutoff=0.85):
                self.log.warning("There is no class `%s`, its options do nothing. Did you mean `%s`?", section, *meant)

    def part(self, cls: type) -> Any:
        """One of the configured objects; each is made once, so that it warns once of options that do not exist.

        Raises:
            ConfigurationError: a value of it cannot be used.
        """
        if cls not in self._parts:
            try:
                self._parts[cls] = cls(parent=self)
            except TraitError as error:
                raise ConfigurationError(f"the configuration cannot be used: {error}") from error
        return self._parts[cls]


def _why(error: Exception, file: str) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines.append(error.lineno)
        error = SyntaxError(error.msg)
    where = f" line {lines[-1]}" if lines else ""
    return f"the configuration file {file!r}{where} fails: {type(error).__name__}: {error}"
