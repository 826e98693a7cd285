"""`conda-store password`: lines of the file of PasswordFileAuthentication."""

from __future__ import annotations

import sys

import click

from conda_store.errors import InvalidInput


@click.command("password")
@click.argument("name")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="A group of the user. May be repeated.")
@click.option(
    "--password-stdin", "is_piped", is_flag=True, help="Read the password from standard input instead of asking."
)
def hash_password(name: str, groups: tuple[str, ...], is_piped: bool) -> None:
    """Print a line with name and hashed password for the file of PasswordFileAuthentication."""
    from conda_store.auth.passwords import make_entry

    if is_piped:
        text = sys.stdin.readline().rstrip("\r\n")
    elif not sys.stdin.isatty():
        raise InvalidInput("there is no terminal to ask for the password", hint="Give it with --password-stdin.")
    else:
        text = str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    click.echo(str(make_entry(name, text, groups)))
