"""`conda-store run`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.progress import download_bar
from conda_store.domain.build import BuildStatus
from conda_store.errors import BuildFailed, CondaStoreError, ServerError

if TYPE_CHECKING:
    from conda_store.client.models import Build
    from conda_store.client.session import Session
    from conda_store.client.uri import BuildUri

# $1 is the prefix; what follows is the command, never read by the shell
_ACTIVATED = 'prefix=$1; shift; . "$prefix/bin/activate" && exec "$@"'
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2) if sys.platform != "win32" else ()


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("uri")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--artifact",
    type=click.Choice(["archive", "lockfile", "yaml"]),
    default="archive",
    show_default=True,
    help="What to run from; the archive is what can be run.",
)
@click.option("--no-cache", is_flag=True, help="Download anew and keep nothing.")
@click.pass_obj
def run(asked: Asked, uri: str, command: tuple[str, ...], artifact: str, no_cache: bool) -> None:
    """Run COMMAND (python where none is given) in the environment URI.

    The environment is downloaded once and kept in your cache directory. The exit status is the command's. Write `--`
    before a COMMAND with options of its own: conda-store run data/analysis -- python -m http.server
    """
    from conda_store.client.uri import parse_uri

    if artifact != "archive":
        raise click.UsageError(
            f"An environment cannot be run from its {artifact}. Download it with "
            f"`conda-store download {uri} --artifact {artifact}` and hand it to conda or micromamba."
        )
    wanted = parse_uri(uri)
    shell = _shell()
    arguments = command or ("python",)
    if no_cache:
        _run_once(asked, wanted, shell, arguments)
    with connected(asked) as session:
        prefix = _kept_prefix(asked, session, wanted)
    sys.stdout.flush()
    os.execv(shell, _shell_arguments(prefix, arguments))  # noqa: S606 - an argument list, and no shell reads it


def _shell() -> str:
    shell = shutil.which("bash")
    if shell is None:
        raise CondaStoreError("an environment is activated by bash, which is not found", hint="Install bash.")
    return shell


def _shell_arguments(prefix: Path, arguments: tuple[str, ...]) -> list[str]:
    return ["bash", "--norc", "--noprofile", "-c", _ACTIVATED, "conda-store", str(prefix), *arguments]


def _kept_prefix(asked: Asked, session: Session, wanted: BuildUri) -> Path:
    """The prefix in the cache, downloaded if need be; while the server is away, what is there."""
    from conda_store.client.kept import KeptEnvironments, kept_path

    kept = KeptEnvironments(kept_path(), session.transport.url)
    try:
        build = _runnable(session, wanted)
    except ServerError as error:
        prefix = kept.latest(wanted.build_id) if wanted.build_id is not None and error.status == 0 else None
        if prefix is None:
            raise
        click.echo(f"The server is not reached; running build {wanted.build_id} from the cache.", err=True)
        return prefix

    def say_wait() -> None:
        click.echo(f"Another run downloads build {build.id}; waiting for it.", err=True)

    return kept.ensure(build, _fetch(session, build), on_wait=say_wait)


def _runnable(session: Session, wanted: BuildUri) -> Build:
    build = session.find_build(wanted)
    if build.status is BuildStatus.COMPLETED:
        return build
    reason = f": {build.status_info}" if build.status_info else ""
    raise BuildFailed(
        f"build {build.id} is {build.status.value}, so it cannot be run{reason}",
        hint=f"Look at it with `conda-store build logs {build.id}`."
        if build.status.has_ended
        else f"Wait for it with `conda-store wait {build.id}`.",
    )


def _fetch(session: Session, build: Build) -> Callable[[Path], object]:
    def fetch(target: Path) -> None:
        with download_bar(f"build {build.id}") as on_progress:
            session.download(build.id, "archive", target, on_progress=on_progress)

    return fetch


def _run_once(asked: Asked, wanted: BuildUri, shell: str, arguments: tuple[str, ...]) -> NoReturn:
    """Run as a child, since something has to clean up afterwards."""
    from conda_store.client.kept import passing_environment

    with connected(asked) as session:
        build = _runnable(session, wanted)
        with passing_environment(_fetch(session, build)) as prefix:
            status = _run_child(shell, _shell_arguments(prefix, arguments))
    raise click.exceptions.Exit(status)


def _run_child(shell: str, arguments: list[str]) -> int:
    """The child's exit status, as a shell would tell it; signals to us go on to it."""
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        if child is None:
            early.append(number)
        else:
            child.send_signal(number)

    previous = {number: signal.signal(number, forward) for number in _FORWARDED}
    # a terminal sends Ctrl-C to the child as well, and what it means is the child's to say
    previous[signal.SIGINT] = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        child = subprocess.Popen(arguments, executable=shell)
        for number in early:
            child.send_signal(number)
        status = child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 128 - status if status < 0 else status
