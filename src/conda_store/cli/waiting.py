"""`conda-store wait`."""

from __future__ import annotations

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.domain.artifact import ArtifactType

WAITED_FOR = {
    "build": None,
    "lockfile": ArtifactType.LOCKFILE,
    "yaml": ArtifactType.YAML,
    "archive": ArtifactType.CONDA_PACK,
    "installer": ArtifactType.CONSTRUCTOR_INSTALLER,
    "docker": ArtifactType.DOCKER_MANIFEST,
}


@click.command()
@click.argument("uri")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="Longest pause between two looks at the build.",
)
@click.option(
    "--artifact", type=click.Choice(list(WAITED_FOR)), default="build", show_default=True, help="What to wait for."
)
@click.pass_obj
def wait(asked: Asked, uri: str, timeout: float, interval: float, artifact: str) -> None:
    """Wait until the build URI is completed.

    Silent when it is; fails when the build fails, is cancelled, or takes too long.
    """
    from conda_store.client.uri import parse_uri

    wanted = parse_uri(uri)
    with connected(asked) as session:
        build = session.find_build(wanted)
        session.wait(build.id, timeout=timeout, interval=interval, artifact=WAITED_FOR[artifact])
