"""`conda-store env`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.listing import filters
from conda_store.cli.output import (
    binary_size,
    output_option,
    print_json,
    print_table,
    printable,
    require_consent,
    yes_option,
)
from conda_store.cli.progress import follow_build, require_completed
from conda_store.domain.build import BuildStatus
from conda_store.errors import InvalidInput

if TYPE_CHECKING:
    from conda_store.client.models import Build, Environment
    from conda_store.client.session import Session
    from conda_store.client.uri import EnvironmentName

# forms that the server tells by the file's name better than by its text
_FORMAT_OF_FILE = {"pixi.toml": "pixi.toml", "pixi.lock": "pixi.lock", "requirements.txt": "requirements.txt"}
_NAME_LINE = re.compile(r"^name[ \t]*:.*$", re.MULTILINE)
_BUILDS_SHOWN = 10


@click.group()
def env() -> None:
    """Create, describe, activate and delete environments."""


@env.command()
@click.option(
    "-f",
    "--file",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="The specification; `-` reads standard input.",
)
@click.option("-n", "--name", help="Name of the environment.  [default: the name in the file]")
@click.option("--namespace", help="Namespace of the environment.  [default: yours]")
@click.option("--description", help="What the environment is for, where the file does not say.")
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    help=(
        "Form of the file: environment.yaml, conda-lock, pixi.toml[:ENVIRONMENT], pixi.lock[:ENVIRONMENT], explicit "
        "or requirements.txt.  [default: found out]"
    ),
)
@click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Follow the build to its end, or leave at once."
)
@click.option("--logs", is_flag=True, help="Show the build's log while waiting.")
@output_option
@click.pass_obj
def create(
    asked: Asked,
    file: Path,
    name: str | None,
    namespace: str | None,
    description: str | None,
    form: str | None,
    wait: bool,
    logs: bool,
    output: str,
) -> None:
    """Hand in a specification and follow its build.

    An environment that exists gets a new build. Fails when the build does; Ctrl-C leaves the build running.
    """
    form = form or _FORMAT_OF_FILE.get(file.name)
    text = read_text(file)
    if name is not None and form in {None, "environment.yaml"}:
        text = named(text, name)
    with connected(asked) as session:
        build_id = session.create_environment(
            text,
            namespace=namespace,
            name=name,
            description=description,
            format=form,
            is_lockfile=form == "conda-lock",
        )
        finish_build(session, build_id, waits=wait, logs=logs, output=output)


def finish_build(session: Session, build_id: int, *, waits: bool, logs: bool, output: str) -> None:
    """Follow a build that was just queued, if that is wanted, and say what came of it.

    Raises:
        BuildFailed: it failed or was cancelled.
    """
    build = session.build(build_id)
    name = str((build.specification or {}).get("name", ""))
    if waits:
        if output == "table":
            click.echo(f"Build {build_id} of {name} is queued.", err=True)
        ended = follow_build(session, build_id, logs=logs)
        build = session.build(build_id)
        if output == "json":
            print_json(build.raw)
        require_completed(ended, build_id, name)
    elif output == "json":
        print_json(build.raw)
    if output == "table":
        click.echo(printable(_outcome(build, name, waits)))


def _outcome(build: Build, name: str, waited: bool) -> str:
    if not waited:
        return f"Build {build.id} of {name} is queued. Follow it with `conda-store build logs {build.id} --follow`."
    taken = (
        f" in {(build.ended_on - build.scheduled_on).total_seconds():.1f} s"
        if build.ended_on and build.scheduled_on
        else ""
    )
    return (
        f"Build {build.id} of {name} is completed{taken} ({binary_size(build.size)}).\n"
        f"Use it with `conda-store run {build.id} -- COMMAND`."
    )


def read_text(file: Path) -> str:
    """The text of a file, of standard input for `-`.

    Raises:
        InvalidInput: it is not UTF-8.
        OSError: it cannot be read.
    """
    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{file} is no text in UTF-8 (byte {error.start})", hint="Save it as UTF-8 and try again."
        ) from error


def named(text: str, name: str) -> str:
    """An environment.yaml with its name replaced where it stands, so that lines keep their numbers."""
    return _NAME_LINE.sub(lambda _: f'name: "{name}"', text, count=1)


@env.command("list")
@click.option("--namespace", help="Only of this namespace.")
@click.option("--search", help="Only with this text in the name of environment or namespace.")
@filters
@output_option
@click.pass_obj
def list_environments(
    asked: Asked,
    namespace: str | None,
    search: str | None,
    status: str | None,
    artifact: str | None,
    packages: tuple[str, ...],
    output: str,
) -> None:
    """List environments with their active builds.

    Where none is completed yet: the first build, with its status.
    """
    with connected(asked) as session:
        environments = list(
            session.environments(
                status=status,
                artifact=artifact,
                packages=packages,
                namespace=namespace,
                search=search,
                with_status=output == "table",
            )
        )
    if output == "json":
        print_json([environment.raw for environment in environments])
        return
    rows = [
        (environment.namespace.name, environment.name, _current_build(environment), environment.description)
        for environment in environments
    ]
    print_table("Environments", ("Namespace", "Name", "Build", "Description"), rows)


def _current_build(environment: Environment) -> str:
    """`7`, or `7, FAILED` where it is not completed."""
    is_told = environment.status not in {None, BuildStatus.COMPLETED}
    return f"{environment.current_build_id or ''}{f', {environment.status}' if is_told else ''}"


@env.command()
@click.argument("environment")
@click.argument("description", required=False)
@output_option
@click.pass_obj
def describe(asked: Asked, environment: str, description: str | None, output: str) -> None:
    """Show an environment and its latest builds.

    With DESCRIPTION set its description first.

    ENVIRONMENT is `<namespace>/<name>`.
    """
    from conda_store.client.uri import parse_environment

    name = parse_environment(environment)
    with connected(asked) as session:
        if description is not None:
            session.describe(name, description)
        found = session.environment(name)
        builds = sorted(session.builds(environment=name), key=lambda build: build.id, reverse=True)
    if output == "json":
        print_json({**found.raw, "builds": [build.raw for build in builds]})
        return
    click.echo(printable(f"{name}: {found.description or 'no description'}"))
    print_table(
        "Builds", ("Id", "Active", "Status", "Size", "Scheduled", ""), _build_rows(builds, found.current_build_id)
    )
    if len(builds) > _BUILDS_SHOWN:
        click.echo(f"and {len(builds) - _BUILDS_SHOWN} earlier ones; --output json shows all")


def _build_rows(builds: list[Build], current: int | None) -> list[tuple[object, ...]]:
    return [
        (
            build.id,
            "*" if build.id == current else "",
            f"{build.status.value}, deleted" if build.is_deleted else build.status.value,
            binary_size(build.size),
            build.scheduled_on.astimezone().strftime("%Y-%m-%d %H:%M:%S") if build.scheduled_on else "",
            build.status_info.partition("\n")[0],
        )
        for build in builds[:_BUILDS_SHOWN]
    ]


@env.command()
@click.argument("environment")
@click.argument("build_id", type=click.IntRange(min=1))
@click.pass_obj
def activate(asked: Asked, environment: str, build_id: int) -> None:
    """Make a completed build the active one.

    It may be an earlier one: so one goes back.

    ENVIRONMENT is `<namespace>/<name>`.
    """
    from conda_store.client.uri import parse_environment

    name = parse_environment(environment)
    with connected(asked) as session:
        session.activate(name, build_id)
    click.echo(f"Build {build_id} is the active one of {name}.")


@env.command()
@click.argument("environment")
@yes_option
@click.pass_obj
def delete(asked: Asked, environment: str, yes: bool) -> None:
    """Delete an environment with all its builds and artifacts.

    ENVIRONMENT is `<namespace>/<name>`.
    """
    from conda_store.client.uri import parse_environment

    name: EnvironmentName = parse_environment(environment)
    require_consent(f"Delete {name} with all its builds?", yes)
    with connected(asked) as session:
        session.delete_environment(name)
    click.echo(f"{name} is deleted.")
