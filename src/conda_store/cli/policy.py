"""`conda-store policy` and `conda-store quota`."""

from __future__ import annotations

import json

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.output import binary_size, output_option, print_json, print_table


@click.command()
@click.argument("target", metavar="NAMESPACE[/NAME]")
@output_option
@click.pass_obj
def policy(asked: Asked, target: str, output: str) -> None:
    """Show the rules that builds have to keep, and which layer of settings sets each."""
    namespace, _, environment = target.partition("/")
    with connected(asked) as session:
        rules = session.policies(namespace, environment or None)
    if output == "json":
        print_json(rules)
        return
    rows = [(row["setting"], json.dumps(row["value"]), row["layer"]) for row in rules]
    print_table(f"Policies for {target}", ("Setting", "Value", "Set for"), rows)


@click.command()
@click.argument("namespace")
@output_option
@click.pass_obj
def quota(asked: Asked, namespace: str, output: str) -> None:
    """Show what a namespace may use and what it uses."""
    with connected(asked) as session:
        found = session.quotas(namespace)
    if output == "json":
        print_json(found)
        return
    rows = [
        (
            row["name"],
            _amount(row["name"], row["used"], ""),
            _amount(row["name"], row["limit"], "-"),
            row["layer"],
        )
        for row in found
    ]
    print_table(f"Quotas of {namespace}", ("Quota", "Used", "Limit", "Set for"), rows)


def _amount(name: str, value: int | None, nothing: str) -> str:
    if value is None:
        return nothing
    return binary_size(value) if name == "quota_bytes" else str(value)
