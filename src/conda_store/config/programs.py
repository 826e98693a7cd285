"""Reading configuration files and options of the programs."""

from __future__ import annotations

import sys
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
    aliases = {"config": "Program.config_file"}  # noqa: RUF012
    flags = {"standalone": ({"Program": {"standalone": True}}, "Start a worker along with the server.")}  # noqa: RUF012

    def read(self, arguments: Sequence[str]) -> None:
        """Read file and command line, the latter counting more.

        Raises:
            ConfigurationError: the file is missing or broken, or an option cannot be understood.
        """
        try:
            self.parse_command_line(list(arguments))
            on_command_line = self.cli_config
            if self.config_file:
                path = Path(self.config_file)
                if not path.is_file():
                    raise ConfigurationError(
                        f"the configuration file {str(path)!r} does not exist", hint="Name an existing file."
                    )
                self.load_config_file(str(path.absolute()))
            self.update_config(on_command_line)
        except (ConfigurationError, SystemExit):
            raise
        except (TraitError, ConfigError) as error:
            raise ConfigurationError(f"the configuration cannot be used: {error}") from error
        except Exception as error:
            raise ConfigurationError(self._where(error), hint="Mend the configuration file.") from error

    def _where(self, error: Exception) -> str:
        frames = traceback.extract_tb(sys.exc_info()[2])
        line = next((f" line {frame.lineno}" for frame in reversed(frames) if frame.filename == self.config_file), "")
        return f"the configuration file {self.config_file!r}{line} fails: {type(error).__name__}: {error}"

    def part(self, cls: type) -> Any:
        """One of the configured objects.

        Raises:
            ConfigurationError: a value of it cannot be used.
        """
        try:
            return cls(parent=self)
        except TraitError as error:
            raise ConfigurationError(f"the configuration cannot be used: {error}") from error
