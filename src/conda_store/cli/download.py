"""`conda-store download`."""

from __future__ import annotations

from pathlib import Path

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.output import print_word
from conda_store.cli.progress import download_bar

SUFFIXES = {"logs": "log", "yaml": "yaml", "lockfile": "lock", "archive": "tar.gz", "installer": "sh"}
LOCKFILE_SUFFIXES = {"conda-lock": "lock", "explicit": "txt", "pixi": "pixi.lock"}


@click.command()
@click.argument("uri")
@click.option(
    "--artifact", type=click.Choice(list(SUFFIXES)), default="lockfile", show_default=True, help="What to download."
)
@click.option(
    "--output-filename",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to put it.  [default: build-<id>.<log|yaml|lock|tar.gz|sh>]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(LOCKFILE_SUFFIXES)),
    help="Form of the lockfile.  [default: conda-lock]",
)
@click.option(
    "--platform", metavar="PLATFORM", help="Only the packages of this platform, such as linux-64, in the lockfile."
)
@click.pass_obj
def download(
    asked: Asked, uri: str, artifact: str, output_filename: Path | None, form: str | None, platform: str | None
) -> None:
    """Download an artifact of the build URI and print the file's path."""
    from conda_store.client.uri import parse_uri

    if artifact != "lockfile" and (form or platform):
        raise click.UsageError("--format and --platform are for --artifact lockfile.")
    wanted = parse_uri(uri)
    suffix = LOCKFILE_SUFFIXES[form] if form else SUFFIXES[artifact]
    with connected(asked) as session:
        build = session.find_build(wanted)
        target = (output_filename or Path(f"build-{build.id}.{suffix}")).absolute()
        parameters = {"format": form, "platform": platform}
        with download_bar(target.name) as on_progress:
            session.download(build.id, artifact, target, parameters=parameters, on_progress=on_progress)
    print_word(str(target))
