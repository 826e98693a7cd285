"""`conda-store list`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.output import binary_size, output_option, print_json, print_table
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.build import BuildStatus

Command = TypeVar("Command", bound=Callable[..., Any])


def filters(command: Command) -> Command:
    """Adds the conditions that environments and builds are listed by."""
    options = (
        click.option(
            "--status", type=click.Choice([status.value for status in BuildStatus]), help="Only of this status."
        ),
        click.option(
            "--artifact", type=click.Choice([kind.value for kind in ArtifactType]), help="Only with this artifact."
        ),
        click.option(
            "--package", "packages", multiple=True, metavar="NAME", help="Only with this package. May be repeated."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group("list")
def list_group() -> None:
    """List namespaces, environments or builds."""


@list_group.command("namespace")
@output_option
@click.pass_obj
def list_namespaces(asked: Asked, output: str) -> None:
    """List the namespaces that you may see."""
    with connected(asked) as session:
        namespaces = list(session.namespaces())
    if output == "json":
        print_json([namespace.raw for namespace in namespaces])
    else:
        print_table("Namespaces", ("Id", "Name"), [(namespace.id, namespace.name) for namespace in namespaces])


@list_group.command("environment")
@filters
@output_option
@click.pass_obj
def list_environments(
    asked: Asked, status: str | None, artifact: str | None, packages: tuple[str, ...], output: str
) -> None:
    """List the environments that you may see.

    Status, artifact and packages are those of an environment's active build.
    """
    with connected(asked) as session:
        environments = list(session.environments(status=status, artifact=artifact, packages=packages))
    if output == "json":
        print_json([environment.raw for environment in environments])
    else:
        rows = [(environment.id, environment.namespace.id, environment.name) for environment in environments]
        print_table("Environments", ("Id", "Namespace Id", "Name"), rows)


@list_group.command("build")
@filters
@output_option
@click.pass_obj
def list_builds(asked: Asked, status: str | None, artifact: str | None, packages: tuple[str, ...], output: str) -> None:
    """List the builds that you may see."""
    with connected(asked) as session:
        builds = list(session.builds(status=status, artifact=artifact, packages=packages))
    if output == "json":
        print_json([{**build.raw, "size": binary_size(build.size)} for build in builds])
    else:
        rows = [(build.id, binary_size(build.size), build.status.value) for build in builds]
        print_table("Builds", ("Id", "Size", "Status"), rows)
