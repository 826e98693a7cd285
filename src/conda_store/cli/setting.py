"""`conda-store setting`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.output import output_option, print_json, print_table
from conda_store.errors import InvalidInput

if TYPE_CHECKING:
    from conda_store.client.session import Session
    from conda_store.client.sharing import Shared


@click.group()
def setting() -> None:
    """Show and set the settings of everything, a namespace or an environment."""


@setting.command()
@click.argument("target", metavar="[NAMESPACE[/NAME]]", required=False)
@output_option
@click.pass_obj
def show(asked: Asked, target: str | None, output: str) -> None:
    """Show the settings in force.

    Without a target: those of all namespaces.
    """
    with connected(asked) as session:
        found = session.settings(_parsed(target))
    if output == "json":
        print_json(found)
        return
    rows = [(name, json.dumps(value)) for name, value in sorted(found.items())]
    print_table(f"Settings for {target or 'all namespaces'}", ("Setting", "Value"), rows)


@setting.command("set")
@click.argument("assignments", metavar="NAME=VALUE...", nargs=-1, required=True)
@click.option("--for", "target", metavar="NAMESPACE[/NAME]", help="For what they count.  [default: all namespaces]")
@click.pass_obj
def set_settings(asked: Asked, assignments: tuple[str, ...], target: str | None) -> None:
    """Set some, while the service runs.

    VALUE is JSON, such as 20, null or '["conda-forge"]', or a text as it stands. Lists are replaced, not joined.
    """
    wanted = dict(assigned(text) for text in assignments)
    with connected(asked) as session:
        _warn_of_absent(session, _parsed(target))
        session.set_settings(_parsed(target), wanted)
    click.echo(f"Set for {target or 'all namespaces'}: {', '.join(wanted)}")


@setting.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--for", "target", metavar="NAMESPACE[/NAME]", help="Where they were set.  [default: all namespaces]")
@click.pass_obj
def unset(asked: Asked, names: tuple[str, ...], target: str | None) -> None:
    """Drop what was set: the level above counts again.

    Above an environment is its namespace, above that all namespaces, and above these the configuration.
    """
    with connected(asked) as session:
        _warn_of_absent(session, _parsed(target))
        session.unset_settings(_parsed(target), names)
    click.echo(f"Unset for {target or 'all namespaces'}: {', '.join(names)}")


def _warn_of_absent(session: Session, target: Shared | None) -> None:
    """Settings may be there before what they are for; a mistyped name is more likely."""
    if target is None:
        return
    if target.environment is None:
        what, name = "namespace", target.namespace
        exists = any(found.name == name for found in session.namespaces())
    else:
        what, name = "environment", f"{target.namespace}/{target.environment}"
        there = session.environments(namespace=target.namespace, search=target.environment)
        exists = any(f"{found.namespace.name}/{found.name}" == name for found in there)
    if not exists:
        click.echo(f"warning: there is no {what} {name} (yet) that you may see", err=True)


def _parsed(target: str | None) -> Shared | None:
    from conda_store.client.sharing import parse_shared

    # an empty one is a mistake, such as a variable that is not set: it must not count for everything
    return None if target is None else parse_shared(target)


def assigned(text: str) -> tuple[str, Any]:
    """`name=value` as name and value.

    Raises:
        InvalidInput: it has no name or no `=`.
    """
    name, equals, value = text.partition("=")
    if not name.strip() or not equals:
        raise InvalidInput(f"{text!r} sets nothing", hint="Write NAME=VALUE, such as quota_environments=20.")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value
