"""`conda-store info` and `conda-store token`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.output import local_minute, output_option, print_json, print_table, print_word, printable
from conda_store.errors import InvalidInput

if TYPE_CHECKING:
    from conda_store.client.models import Token

Command = TypeVar("Command", bound=Callable[..., Any])


@click.command()
@output_option
@click.pass_obj
def info(asked: Asked, output: str) -> None:
    """Show who you are and what you may do."""
    with connected(asked) as session:
        permissions = session.permissions()
    if output == "json":
        print_json(permissions.raw)
        return
    click.echo(f"Default namespace is {permissions.primary_namespace}")
    click.echo(f"Authenticated {permissions.is_authenticated}")
    rows = [
        (*entity.partition("/")[::2], " ".join(held)) for entity, held in sorted(permissions.entity_permissions.items())
    ]
    print_table("Permissions", ("Namespace", "Name", "Permissions"), rows)


def _asking(command: Command) -> Command:
    """Adds what a new token may be asked to be."""
    options = (
        click.option("--namespace", help="Primary namespace of the token.  [default: yours]"),
        click.option(
            "--expiration", type=click.IntRange(min=1), metavar="SECONDS", help="The token ends after so long."
        ),
        click.option(
            "--permission",
            "permissions",
            multiple=True,
            metavar="NS/NAME:ROLE,...",
            help="Roles of the token on environments, such as `data/*:viewer`. May be repeated.  [default: yours]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@_asking
@click.pass_context
def token(context: click.Context, namespace: str | None, expiration: int | None, permissions: tuple[str, ...]) -> None:
    """Make, list and revoke tokens. Without a command it makes one and prints it.

    A token can do no more than you can, and lives no longer.
    """
    if context.invoked_subcommand is None:
        _print_new(context.obj, "", namespace, expiration, permissions)
    elif namespace or expiration or permissions:
        raise click.UsageError(f"options of the new token stand behind `{context.invoked_subcommand}`")


@token.command("create")
@click.option("--name", default="", help="What it is for, to know it again in the list.")
@_asking
@click.pass_obj
def create_token(
    asked: Asked, name: str, namespace: str | None, expiration: int | None, permissions: tuple[str, ...]
) -> None:
    """Make a token and print it: it is shown this one time."""
    _print_new(asked, name, namespace, expiration, permissions)
    click.echo()


@token.command("list")
@click.option("--everybody", is_flag=True, help="Those of everybody: for admins of everything.")
@output_option
@click.pass_obj
def list_tokens(asked: Asked, everybody: bool, output: str) -> None:
    """List your tokens and logins that are valid."""
    with connected(asked) as session:
        tokens = list(session.tokens(everybody=everybody))
    if output == "json":
        print_json([item.raw for item in tokens])
        return
    rows = [
        (item.id, item.kind, item.name, item.owner, _shown_bindings(item), _shown(item.expiration), _shown(item.used))
        for item in tokens
    ]
    print_table("Tokens", ("Id", "Kind", "Name", "Owner", "Permissions", "Ends", "Last used"), rows)


@token.command("revoke")
@click.argument("token_id", type=click.IntRange(min=0), required=False)
@click.option("--all-of", metavar="USER", help="End all tokens and logins of a user: yours, or as admin anybody's.")
@click.pass_obj
def revoke_token(asked: Asked, token_id: int | None, all_of: str | None) -> None:
    """End a token or login, by its id in the list."""
    if (token_id is None) == (all_of is None):
        raise click.UsageError("name either the id of a token, or with --all-of a user")
    with connected(asked) as session:
        if all_of is not None:
            session.end_everything_of(all_of)
            click.echo(f"All tokens and logins of {printable(all_of)} have ended.", err=True)
        elif token_id is not None:
            session.revoke_token(token_id)
            click.echo(f"Token {token_id} has ended.", err=True)


def _print_new(
    asked: Asked, name: str, namespace: str | None, expiration: int | None, permissions: tuple[str, ...]
) -> None:
    bindings = role_bindings(permissions)
    end = datetime.now(UTC) + timedelta(seconds=expiration) if expiration is not None else None
    with connected(asked) as session:
        print_word(session.create_token(namespace, bindings, end, name=name))


def _shown_bindings(item: Token) -> str:
    if item.role_bindings is None:
        return "its owner's"
    return " ".join(f"{entity}:{','.join(roles)}" for entity, roles in item.role_bindings.items())


def _shown(moment: datetime | None) -> str:
    return local_minute(moment) if moment else "never"


def role_bindings(permissions: tuple[str, ...]) -> dict[str, list[str]]:
    """`ns/name:role1,role2` texts as bindings; those on one entity are joined.

    Raises:
        InvalidInput: a text has another form.
    """
    bindings: dict[str, list[str]] = {}
    for permission in permissions:
        entity, colon, roles = permission.rpartition(":")
        if not colon or entity.count("/") != 1 or not all(role.strip() for role in roles.split(",")):
            raise InvalidInput(
                f"--permission {permission} cannot be read",
                hint="Write `<namespace>/<name>:<role>,<role>`, such as `data/*:viewer`.",
            )
        bindings.setdefault(entity, []).extend(role.strip() for role in roles.split(","))
    return bindings
