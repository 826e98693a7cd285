"""`conda-store login`, `logout` and `whoami`."""

from __future__ import annotations

import os
import sys

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.output import output_option, print_json, printable
from conda_store.errors import CondaStoreError, ConfigurationError, InvalidInput, ServerError


@click.command()
@click.option("--device", is_flag=True, help="Show a code to confirm in a browser elsewhere.")
@click.option("--token", "has_token", is_flag=True, help="Ask for a token, or read it from standard input.")
@click.pass_obj
def login(asked: Asked, device: bool, has_token: bool) -> None:
    """Log in, so that later commands need not be told who you are.

    By default your browser is opened. What is kept is a token, in the system's keyring or in a file that only
    you can read.
    """
    from conda_store.client import credentials
    from conda_store.client.authorizing import by_browser, by_device
    from conda_store.client.login import Token
    from conda_store.client.session import Session
    from conda_store.client.transport import Transport

    if device and has_token:
        raise click.UsageError("--device and --token are two ways: choose one")
    if has_token:
        token = _given_token()
    else:
        with Transport(asked.url, verify_ssl=asked.verifies_ssl) as transport:
            token = by_device(transport, _show_code) if device or not _has_browser() else by_browser(transport, _open)
    with Session(Transport(asked.url, Token(token), verify_ssl=asked.verifies_ssl)) as session:
        user = session.user()
        if not user.is_authenticated:
            raise InvalidInput("the server does not know this token", hint="It may have expired, or been mistyped.")
    credentials.remember(asked.url, token, keyring=credentials.system_keyring())
    click.echo(f"Logged in as {printable(user.name)} at {asked.url}", err=True)


@click.command()
@click.pass_obj
def logout(asked: Asked) -> None:
    """End the login: its token is revoked at the server and forgotten here."""
    from conda_store.client import credentials
    from conda_store.client.login import Token
    from conda_store.client.session import Session
    from conda_store.client.transport import Transport

    remembered = credentials.recall(asked.url)
    if remembered is None:
        click.echo(f"Nobody is logged in at {asked.url}", err=True)
        return
    try:
        with Session(Transport(remembered.url, Token(remembered.token), verify_ssl=asked.verifies_ssl)) as session:
            token_id = session.user().token_id
            if token_id is not None:  # a token of the server's configuration has none
                session.revoke_token(token_id)
    except ServerError as error:
        credentials.forget(remembered.url, keyring=credentials.system_keyring())
        raise ServerError(
            f"forgotten here, but not ended at the server: {error.message}",
            hint="End it with `conda-store token revoke` when you are logged in again.",
        ) from error
    credentials.forget(remembered.url, keyring=credentials.system_keyring())
    click.echo(f"Logged out at {remembered.url}", err=True)


@click.command()
@output_option
@click.pass_obj
def whoami(asked: Asked, output: str) -> None:
    """Show who you are for the server. The status is 1 if that is nobody."""
    with connected(asked) as session:
        user = session.user()
    if output == "json":
        print_json(user.raw)
    elif user.is_authenticated:
        groups = f", of {printable(', '.join(user.groups))}" if user.groups else ""
        click.echo(f"{printable(user.name)}{groups}")
    if not user.is_authenticated:
        raise CondaStoreError(f"nobody is logged in at {asked.url}", hint=_why_nobody(asked))


def _why_nobody(asked: Asked) -> str:
    if asked.auth == "token":
        return "The server does not know the token: it may have expired or been revoked, or be another server's."
    return "Log in with `conda-store login`."


def _given_token() -> str:
    text = str(click.prompt("Token", hide_input=True, err=True)) if sys.stdin.isatty() else sys.stdin.readline()
    if not text.strip():
        raise ConfigurationError("no token was given", hint="Hand it in on standard input.")
    return text.strip()


def _has_browser() -> bool:
    """Whether a browser on this machine can be expected to show pages to whoever sits before this terminal."""
    if "BROWSER" in os.environ:
        return True
    if "SSH_CONNECTION" in os.environ:
        return False
    is_graphical = sys.platform in {"darwin", "win32"}
    return is_graphical or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(url: str) -> None:
    import webbrowser

    click.echo(f"Allow the login in your browser:\n  {url}", err=True)
    webbrowser.open(url)


def _show_code(url: str, code: str, _both: str) -> None:
    click.echo(f"Open  {printable(url)}\nand enter the code  {printable(code)}", err=True)
