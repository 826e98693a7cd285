"""`conda-store build`."""

from __future__ import annotations

import codecs
import sys
from typing import TYPE_CHECKING

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.environment import finish_build
from conda_store.cli.output import output_option, print_json, print_table, printable, require_consent, yes_option
from conda_store.cli.progress import INTERRUPTED
from conda_store.domain.build import BuildStatus

if TYPE_CHECKING:
    from conda_store.client.differing import Changed, Difference
    from conda_store.client.models import Build
    from conda_store.client.session import Session


@click.group()
def build() -> None:
    """Follow, compare, cancel, repeat and delete builds."""


def _find(session: Session, uri: str) -> Build:
    from conda_store.client.uri import parse_uri

    return session.find_build(parse_uri(uri))


@build.command()
@click.argument("uri")
@click.pass_obj
def cancel(asked: Asked, uri: str) -> None:
    """Cancel the build URI, queued or running."""
    with connected(asked) as session:
        click.echo(printable(session.cancel(_find(session, uri).id)))


@build.command()
@click.argument("uri")
@click.option("--follow", "-f", is_flag=True, help="Go on until the build ends.")
@click.pass_obj
def logs(asked: Asked, uri: str, follow: bool) -> None:
    """Print the log of the build URI."""
    from conda_store.client.following import LogWritten

    with connected(asked) as session:
        build_id = _find(session, uri).id
        if not follow:
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            for piece in session.logs(build_id):
                _write(decoder.decode(piece))
            _write(decoder.decode(b"", final=True))
            return
        try:
            for event in session.follow(build_id):
                if isinstance(event, LogWritten):
                    _write(event.text)
        except KeyboardInterrupt:
            click.echo(f"\nFollow it again with `conda-store build logs {build_id} --follow`.", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None


def _write(text: str) -> None:
    """Logs hold what other people's packages print: a terminal gets no control characters of theirs."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


@build.command()
@click.argument("before")
@click.argument("after")
@output_option
@click.pass_obj
def diff(asked: Asked, before: str, after: str, output: str) -> None:
    """Compare the packages of two builds, BEFORE and AFTER."""
    from conda_store.client.differing import difference

    with connected(asked) as session:
        old, new = _find(session, before), _find(session, after)
        held = [[*session.packages(build.id), *session.pip_packages(build.id)] for build in (old, new)]
        result = difference(*held)
    for found, packages in zip((old, new), held, strict=True):
        if found.status is not BuildStatus.COMPLETED and not packages:
            click.echo(f"Build {found.id} is {found.status}, and has no packages.", err=True)
    if output == "json":
        print_json(_difference_json(result))
        return
    rows = [
        *((package.name, "", package.version, "added") for package in result.added),
        *((package.name, package.version, "", "removed") for package in result.removed),
        *((change.name, *_sides(change), _kind(change)) for change in result.changed),
    ]
    if rows:
        print_table(f"Build {old.id} to build {new.id}", ("Name", "Before", "After", "Change"), sorted(rows))
    click.echo(
        f"{len(result.added)} added, {len(result.removed)} removed, {len(result.changed)} changed, "
        f"{result.unchanged} unchanged"
    )


def _kind(change: Changed) -> str:
    if change.is_upgrade is None:
        return "channel" if change.before == change.after else "same version"
    return "up" if change.is_upgrade else "down"


def _sides(change: Changed) -> tuple[str, str]:
    """Versions, with the channels where only these differ."""
    if change.before != change.after:
        return change.before, change.after
    return f"{change.before} ({change.channel_before})", f"{change.after} ({change.channel_after})"


def _difference_json(result: Difference) -> dict[str, object]:
    return {
        "added": [{"name": package.name, "version": package.version} for package in result.added],
        "removed": [{"name": package.name, "version": package.version} for package in result.removed],
        "changed": [
            {
                "name": change.name,
                "before": change.before,
                "after": change.after,
                "change": _kind(change),
                "channel_before": change.channel_before,
                "channel_after": change.channel_after,
            }
            for change in result.changed
        ],
        "unchanged": result.unchanged,
    }


@build.command()
@click.argument("uri")
@click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Follow the build to its end, or leave at once."
)
@click.option("--logs", is_flag=True, help="Show the build's log while waiting.")
@output_option
@click.pass_obj
def rebuild(asked: Asked, uri: str, wait: bool, logs: bool, output: str) -> None:
    """Build the specification of the build URI once more."""
    with connected(asked) as session:
        build_id = session.rebuild(_find(session, uri).id)
        finish_build(session, build_id, waits=wait, logs=logs, output=output)


@build.command()
@click.argument("uri")
@yes_option
@click.pass_obj
def delete(asked: Asked, uri: str, yes: bool) -> None:
    """Delete the build URI.

    Its directory and artifacts go, but for those that the server is configured to keep.
    """
    with connected(asked) as session:
        build_id = _find(session, uri).id
        require_consent(f"Delete build {build_id}?", yes)
        session.delete_build(build_id)
    click.echo(f"Build {build_id} is deleted.")
