"""`conda-store credential`."""

from __future__ import annotations

import sys
from getpass import getpass

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.output import local_minute, output_option, print_json, print_table
from conda_store.domain.credential import CredentialKind

_namespace = click.option("--namespace", "-n", help="Of this namespace.  [default: usable in all]")


@click.group()
def credential() -> None:
    """Set credentials of channels and package indexes; they are never shown."""


@credential.command("list")
@_namespace
@output_option
@click.pass_obj
def list_credentials(asked: Asked, namespace: str | None, output: str) -> None:
    """List the hosts that there are credentials for."""
    with connected(asked) as session:
        found = session.credentials(namespace)
    if output == "json":
        print_json(found)
        return
    rows = [
        (row["host"], row["namespace"] or "(all)", row["kind"], row["set_by"], local_minute(row["set_on"]))
        for row in found
    ]
    print_table("Credentials", ("Host", "Namespace", "Kind", "Set by", "Set on"), rows)


@credential.command("set")
@click.argument("host")
@_namespace
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in CredentialKind]),
    default=CredentialKind.BASIC.value,
    show_default=True,
    help="A user with a password, a token in a header, or a token in the path.",
)
@click.option("--username", "-u", default="", help="The user, with the kind basic.")
@click.pass_obj
def set_credential(asked: Asked, host: str, namespace: str | None, kind: str, username: str) -> None:
    """Set the credential for a host.

    The secret is asked for, or read from standard input.
    """
    secret = getpass("Secret: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    with connected(asked) as session:
        session.set_credential({"host": host, "kind": kind, "username": username, "secret": secret}, namespace)


@credential.command("delete")
@click.argument("host")
@_namespace
@click.pass_obj
def delete_credential(asked: Asked, host: str, namespace: str | None) -> None:
    """Remove the credential for a host."""
    with connected(asked) as session:
        session.delete_credential(host, namespace)


@credential.command("new-key")
def make_key() -> None:
    """Print a new key for the server's key file."""
    from conda_store.auth.sealing import new_key

    click.echo(new_key())


@credential.command("seal")
@click.pass_obj
def seal(asked: Asked) -> None:
    """Seal all credentials with the server's first key."""
    with connected(asked) as session:
        click.echo(f"{session.seal_anew()} credentials sealed anew")
