"""`conda-store info` and `conda-store token`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.output import output_option, print_json, print_table
from conda_store.errors import InvalidInput


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


@click.command()
@click.option("--namespace", help="Primary namespace of the token.  [default: yours]")
@click.option("--expiration", type=click.IntRange(min=1), metavar="SECONDS", help="The token ends after so long.")
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    metavar="NS/NAME:ROLE,...",
    help="Roles of the token on environments, such as `data/*:viewer`. May be repeated.  [default: yours]",
)
@click.pass_obj
def token(asked: Asked, namespace: str | None, expiration: int | None, permissions: tuple[str, ...]) -> None:
    """Make a token and print it.

    It can do no more than you can, and lives no longer.
    """
    bindings = role_bindings(permissions)
    end = datetime.now(UTC) + timedelta(seconds=expiration) if expiration is not None else None
    with connected(asked) as session:
        click.echo(session.create_token(namespace, bindings, end), nl=False)


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
