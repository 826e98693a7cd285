"""The `conda-store` program: its commands, and what people see when something fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

import click

import conda_store
from conda_store.cli.connecting import DEFAULT_URL, Asked, authentications
from conda_store.cli.lean import leave_out_rich
from conda_store.cli.progress import INTERRUPTED
from conda_store.cli.shebang import expand_script
from conda_store.errors import CondaStoreError


@dataclass(frozen=True)
class Lazy:
    """A command that is imported when it is called; `summary` stands in the list of commands."""

    module: str
    name: str
    summary: str


COMMANDS: Mapping[str, Lazy] = {
    "info": Lazy("conda_store.cli.access", "info", "Show who you are and what you may do."),
    "login": Lazy("conda_store.cli.login", "login", "Log in, in the browser or with a code."),
    "logout": Lazy("conda_store.cli.login", "logout", "End the login."),
    "whoami": Lazy("conda_store.cli.login", "whoami", "Show who you are."),
    "token": Lazy("conda_store.cli.access", "token", "Make, list and revoke tokens."),
    "list": Lazy("conda_store.cli.listing", "list_group", "List namespaces, environments or builds."),
    "env": Lazy("conda_store.cli.environment", "env", "Create, describe, activate and delete environments."),
    "build": Lazy("conda_store.cli.build", "build", "Follow, compare, cancel, repeat and delete builds."),
    "wait": Lazy("conda_store.cli.waiting", "wait", "Wait until a build is completed."),
    "download": Lazy("conda_store.cli.download", "download", "Download an artifact of a build."),
    "image": Lazy("conda_store.cli.image", "image", "Save an environment's image, or push it to a registry."),
    "run": Lazy("conda_store.cli.run", "run", "Run a command in an environment."),
    "solve": Lazy("conda_store.cli.solve", "solve", "Show the packages that a specification comes to."),
    "share": Lazy("conda_store.cli.sharing", "share", "Share an environment or a namespace."),
    "share-link": Lazy("conda_store.cli.sharing", "share_link", "Make a link to read an environment."),
    "access": Lazy("conda_store.cli.sharing", "access", "Show who has access, and why."),
    "namespace": Lazy("conda_store.cli.sharing", "namespace", "Create and delete namespaces, and give roles in them."),
    "policy": Lazy("conda_store.cli.policy", "policy", "Show the rules that builds have to keep."),
    "quota": Lazy("conda_store.cli.policy", "quota", "Show what a namespace may use and uses."),
    "setting": Lazy("conda_store.cli.setting", "setting", "Show and set settings, also policies and quotas."),
    "credential": Lazy("conda_store.cli.credential", "credential", "Set credentials of channels and indexes."),
    "audit": Lazy("conda_store.cli.audit", "audit", "Show who did what."),
    "serve": Lazy("conda_store.cli.serve", "serve", "Serve conda-store: web, API and a worker."),
    "worker": Lazy("conda_store.cli.serve", "worker", "Run a worker that builds environments."),
    "password": Lazy("conda_store.cli.password", "hash_password", "Hash a password for the file of passwords."),
    "migrate": Lazy("conda_store.cli.serve", "migrate", "Bring the database to this version's tables."),
}


class LazyGroup(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        lazy = COMMANDS.get(name)
        if lazy is None:
            return None
        command = getattr(import_module(lazy.module), lazy.name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{lazy.module}.{lazy.name} is no command")
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in COMMANDS.items()])


@click.group(cls=LazyGroup, name="conda-store")
@click.option(
    "--conda-store-url",
    envvar="CONDA_STORE_URL",
    default=DEFAULT_URL,
    show_default=True,
    metavar="URL",
    help="Address of the server, with its prefix. [CONDA_STORE_URL]",
)
@click.option(
    "--auth",
    envvar="CONDA_STORE_AUTH",
    type=click.Choice(authentications),
    default=None,
    help=(
        "How to log in. token takes CONDA_STORE_TOKEN, basic takes CONDA_STORE_USERNAME and CONDA_STORE_PASSWORD. "
        "Without it: as `conda-store login` has done, or for a server started here; else anonymously. "
        "[CONDA_STORE_AUTH]"
    ),
)
@click.option(
    "--no-verify-ssl",
    envvar="CONDA_STORE_NO_VERIFY",
    is_flag=True,
    help="Do not check the server's certificate. [CONDA_STORE_NO_VERIFY]",
)
@click.option("--debug", envvar="CONDA_STORE_DEBUG", is_flag=True, help="Show where errors arise. [CONDA_STORE_DEBUG]")
@click.version_option(conda_store.__version__, prog_name="conda-store", message="%(prog)s, version %(version)s")
@click.pass_context
def conda_store_command(
    context: click.Context, conda_store_url: str, auth: str | None, no_verify_ssl: bool, debug: bool
) -> None:
    """conda-store builds, keeps and serves conda environments.

    A build is named `<build-id>`, `<namespace>/<name>` (the active build) or `<namespace>/<name>:<build-id>`.
    """
    asked = context.ensure_object(Asked)
    asked.url, asked.auth, asked.verifies_ssl, asked.is_debugging = conda_store_url, auth, not no_verify_ssl, debug


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    if arguments is None and sys.argv[1:2] in (["serve"], ["worker"]):
        leave_out_rich()
    sys.exit(run_command(list(sys.argv[1:] if arguments is None else arguments)))


def run_command(arguments: list[str]) -> int:
    """The exit status; what went wrong is on standard error, in words."""
    asked = Asked(is_debugging=bool(os.environ.get("CONDA_STORE_DEBUG")))
    try:
        status = conda_store_command.main(
            expand_script(arguments), prog_name="conda-store", standalone_mode=False, obj=asked
        )
    except click.Abort as error:
        click.echo("Stopped.", err=True)
        return INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:
        if asked.is_debugging:
            raise
        click.secho(explained(error), fg="red", err=True)
        return 1
    return status if isinstance(status, int) else 0


def explained(error: Exception) -> str:
    """An error in words, safe to print on a terminal."""
    from conda_store.cli.output import printable

    if isinstance(error, CondaStoreError):
        return printable(str(error))
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return printable(f"{type(error).__name__}: {error}\nThis was not foreseen; --debug shows where it arises.")
