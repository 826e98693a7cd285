"""`conda-store audit`."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import islice

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.output import print_table, printable


@click.command()
@click.option("--actor", help="Only what this user did.")
@click.option("--action", help="Only this action, such as environment::delete.")
@click.option("--namespace", "-n", help="Only in this namespace.")
@click.option("--allowed/--refused", default=None, help="Only what was allowed, or refused.")
@click.option("--since", type=click.DateTime(), help="Not before this day or moment, in UTC.")
@click.option("--until", type=click.DateTime(), help="Before this day or moment, in UTC.")
@click.option("--limit", type=click.IntRange(min=0), default=100, show_default=True, help="Entries; 0 for all.")
@click.option("--output", type=click.Choice(["table", "jsonl"]), default="table", help="How to show them.")
@click.pass_obj
def audit(
    asked: Asked,
    actor: str | None,
    action: str | None,
    namespace: str | None,
    allowed: bool | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    output: str,
) -> None:
    """Show who did what, the newest first."""
    filters = {
        "actor": actor,
        "action": action,
        "namespace": namespace,
        "allowed": None if allowed is None else str(allowed).lower(),
        "since": since.isoformat() if since else None,
        "until": until.isoformat() if until else None,
    }
    with connected(asked) as session:
        found = session.audit(filters)
        rows = list(islice(found, limit)) if limit else list(found)
    if output == "jsonl":
        for row in rows:
            click.echo(json.dumps(row))
        return
    print_table("Audit log", ("Time", "Who", "From", "Action", "On", "What", ""), [_shown(row) for row in rows])


def _shown(row: dict[str, object]) -> tuple[str, ...]:
    target = "/".join(str(part) for part in (row["namespace"], row["environment"]) if part)
    cells = (str(row["time"])[:19], row["actor"], row["address"], row["action"], target, row["detail"])
    return (*(printable(str(cell)) for cell in cells), "" if row["allowed"] else "refused")
