"""`conda-store share`, `share-link`, `access` and `namespace`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.output import (
    local_minute,
    output_option,
    print_json,
    print_table,
    printable,
    require_consent,
    yes_option,
)
from conda_store.domain.access import Holder, HolderKind

_target = click.argument("target", metavar="NAMESPACE[/NAME]")


@click.command()
@_target
@click.option("--user", metavar="NAME", help="Share with this user.")
@click.option("--group", metavar="NAME", help="Share with this group of the login.")
@click.option("--namespace", metavar="NAME", help="Share with everybody whose primary namespace this is.")
@click.option("--role", help="The role that they get: viewer, developer, admin or one of the server's own.")
@click.option("--remove", is_flag=True, help="Take the role away.")
@output_option
@click.pass_obj
def share(
    asked: Asked,
    target: str,
    user: str | None,
    group: str | None,
    namespace: str | None,
    role: str | None,
    remove: bool,
    output: str,
) -> None:
    """Share an environment, or a whole namespace.

    Without --user, --group or --namespace show with whom it is shared.
    """
    from conda_store.client import sharing

    shared, holder = sharing.parse_shared(target), _holder(user, group, namespace)
    if holder is None:
        if role or remove:
            raise click.UsageError("Name whom it concerns: --user, --group or --namespace.")
        with connected(asked) as session:
            rows = sharing.shares(session.transport, shared)
        columns = ("entity", "kind", "name", "role", "given_by", "given_on")
        _show(f"Shares of {target}", columns, rows, output)
        return
    if remove == bool(role):
        raise click.UsageError("Name either a --role to give, or --remove.")
    with connected(asked) as session:
        if role:
            sharing.share(session.transport, shared, holder, role)
        else:
            sharing.unshare(session.transport, shared, holder)
    click.echo(f"{target}: {holder} is {role}" if role else f"{target}: not shared with {holder} any more")


def _holder(user: str | None, group: str | None, namespace: str | None) -> Holder | None:
    named = {HolderKind.USER: user, HolderKind.GROUP: group, HolderKind.NAMESPACE: namespace}
    found = [Holder(kind, name) for kind, name in named.items() if name is not None]
    if len(found) > 1:
        raise click.UsageError("Name only one of --user, --group and --namespace.")
    return found[0] if found else None


@click.command("share-link")
@_target
@click.option(
    "--days", type=click.FloatRange(0, min_open=True), default=7, show_default=True, help="It is good so long."
)
@click.option("--list", "lists", is_flag=True, help="Show the links that are good; of a namespace, to all in it.")
@click.option("--revoke", type=int, metavar="ID", help="End a link.")
@output_option
@click.pass_obj
def share_link(asked: Asked, target: str, days: float, lists: bool, revoke: int | None, output: str) -> None:
    """Make a link with which anybody may read one environment, and print it."""
    from conda_store.client import sharing

    shared = sharing.parse_shared(target)
    if shared.environment is None and not lists:
        raise click.UsageError("A link is to one environment: write NAMESPACE/NAME.")
    with connected(asked) as session:
        if lists:
            columns = ("id", "entity", "given_by", "given_on", "expires_on")
            _show(f"Links to {target}", columns, sharing.links(session.transport, shared), output)
        elif revoke is not None:
            sharing.revoke_link(session.transport, shared, revoke)
            click.echo(f"Link {revoke} has been revoked.")
        else:
            link = sharing.create_link(session.transport, shared, datetime.now(UTC) + timedelta(days=days))
            if output == "json":
                print_json(link)
            else:
                click.echo(link["url"])


@click.command()
@_target
@click.option("--permission", help="Say whether this is permitted, and why, such as environment::update.")
@click.option("--user", help="To this user, instead of you.")
@click.option("--group", "groups", multiple=True, help="Who is in this group besides those known; may be repeated.")
@output_option
@click.pass_obj
def access(
    asked: Asked, target: str, permission: str | None, user: str | None, groups: tuple[str, ...], output: str
) -> None:
    """Show who has access, and why."""
    from conda_store.client import sharing

    shared = sharing.parse_shared(target)
    if permission is None and (user is not None or groups):
        raise click.UsageError("Name the --permission that is asked about.")
    with connected(asked) as session:
        if permission is None:
            columns = ("holder", "role", "entity", "source", "given_by", "expires_on")
            _show(f"Access to {target}", columns, sharing.access(session.transport, shared), output)
            return
        decision = sharing.explain(session.transport, shared, permission, user, groups)
    if output == "json":
        print_json(decision)
    else:
        click.echo(decision["explanation"])


@click.group()
def namespace() -> None:
    """Create and delete namespaces, and give those of others roles in them."""


@namespace.command("create")
@click.argument("namespace")
@click.pass_obj
def create_namespace(asked: Asked, namespace: str) -> None:
    """Create a namespace."""
    with connected(asked) as session:
        session.create_namespace(namespace)
    click.echo(f"{namespace} is created.")


@namespace.command("delete")
@click.argument("namespace")
@yes_option
@click.pass_obj
def delete_namespace(asked: Asked, namespace: str, yes: bool) -> None:
    """Delete a namespace with everything that is in it."""
    require_consent(f"Delete {namespace} with all its environments and builds?", yes)
    with connected(asked) as session:
        session.delete_namespace(namespace)
    click.echo(f"{namespace} is deleted.")


@namespace.group()
def role() -> None:
    """Roles of other namespaces in one.

    They are role mappings of version 2.
    """


@role.command("list")
@click.argument("namespace")
@output_option
@click.pass_obj
def list_roles(asked: Asked, namespace: str, output: str) -> None:
    """Show which namespaces have a role in NAMESPACE."""
    from conda_store.client import sharing

    with connected(asked) as session:
        rows = sharing.namespace_roles(session.transport, namespace)
    _show(f"Roles in {namespace}", ("other_namespace", "role"), rows, output)


@role.command()
@click.argument("namespace")
@click.argument("other")
@click.argument("role")
@click.pass_obj
def grant(asked: Asked, namespace: str, other: str, role: str) -> None:
    """Give those of the namespace OTHER a role in NAMESPACE.

    They are those whose primary namespace it is.
    """
    from conda_store.client import sharing

    with connected(asked) as session:
        remark = sharing.grant_namespace_role(session.transport, namespace, other, role)
    click.echo(f"{namespace}: those of {other} are {role}")
    if remark:
        click.echo(printable(remark), err=True)


@role.command()
@click.argument("namespace")
@click.argument("other")
@click.pass_obj
def revoke(asked: Asked, namespace: str, other: str) -> None:
    """Take away the role that those of OTHER have in NAMESPACE."""
    from conda_store.client import sharing

    with connected(asked) as session:
        sharing.revoke_namespace_role(session.transport, namespace, other)
    click.echo(f"{namespace}: those of {other} have no role any more")


def _show(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], output: str) -> None:
    if output == "json":
        print_json(rows)
        return
    headings = [column.replace("_", " ").capitalize() for column in columns]
    print_table(title, headings, [[_cell(column, row.get(column)) for column in columns] for row in rows])


def _cell(column: str, value: Any) -> Any:
    return local_minute(value) if value and column.endswith("_on") else value
