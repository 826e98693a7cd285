"""A build followed on a terminal: a bar for people, plain lines where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from conda_store.cli.output import binary_size, error_console, printable
from conda_store.domain.build import BuildStatus, Phase, Progress
from conda_store.errors import BuildFailed, ServerError

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from conda_store.client.downloading import OnProgress
    from conda_store.client.following import BuildEnded
    from conda_store.client.session import Session


INTERRUPTED = 130  # what a shell says of a command that Ctrl-C ended


class _Display(Protocol):
    def log(self, text: str) -> None: ...

    def progress(self, progress: Progress, reason: str) -> None: ...


def follow_build(session: Session, build_id: int, *, logs: bool) -> BuildEnded:
    """Show the build on standard error until it ends.

    Raises:
        ServerError: it cannot be followed.
        click.exceptions.Exit: Ctrl-C; the build goes on, and how to follow it again has been said.
    """
    from conda_store.client.following import BuildEnded, LogWritten, ProgressMade

    try:
        with _display() as display:
            for event in session.follow(build_id, logs=logs):
                if isinstance(event, LogWritten):
                    display.log(event.text)
                elif isinstance(event, ProgressMade):
                    display.progress(event.progress, event.status_info)
                elif isinstance(event, BuildEnded):
                    return event
    except KeyboardInterrupt:
        click.echo(
            f"\nBuild {build_id} goes on. Follow it again with `conda-store build logs {build_id} --follow`, "
            f"stop it with `conda-store build cancel {build_id}`.",
            err=True,
        )
        raise click.exceptions.Exit(INTERRUPTED) from None
    raise ServerError(f"the events of build {build_id} ended before the build did")


def require_completed(ended: BuildEnded, build_id: int, name: str) -> None:
    """
    Raises:
        BuildFailed: the build did not complete; the message holds the server's reason.
    """
    if ended.status is BuildStatus.COMPLETED:
        return
    outcome = "was canceled" if ended.status is BuildStatus.CANCELED else "failed"
    reason = f": {ended.status_info}" if ended.status_info else ""
    raise BuildFailed(
        f"Build {build_id} of {name} {outcome}{reason}", hint=f"Its log: conda-store build logs {build_id}"
    )


@contextmanager
def download_bar(label: str) -> Iterator[OnProgress]:
    """A bar for a download on standard error; nothing where it is no terminal."""
    console = error_console()
    if not console.is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def _display() -> Iterator[_Display]:
    console = error_console()
    if not console.is_terminal:
        yield _Lines()
        return
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        yield _Bar(bars)


def detail(progress: Progress) -> str:
    """Packages and bytes, as far as they are known: `12/47 packages, 10.0MiB/80.0MiB`."""
    parts = []
    if progress.packages_total:
        parts.append(f"{progress.packages_done}/{progress.packages_total} packages")
    if progress.bytes_total:
        parts.append(f"{binary_size(progress.bytes_done)}/{binary_size(progress.bytes_total)}")
    return ", ".join(parts)


class _Bar:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task = bars.add_task(Phase.QUEUED.value, total=None, detail="")

    def log(self, text: str) -> None:
        self._bars.console.print(printable(text).rstrip("\n"), soft_wrap=True)

    def progress(self, progress: Progress, reason: str) -> None:
        by_bytes = progress.phase is Phase.DOWNLOADING and progress.bytes_total > 0
        done, total = (
            (progress.bytes_done, progress.bytes_total)
            if by_bytes
            else (progress.packages_done, progress.packages_total)
        )
        self._bars.update(
            self._task,
            description=progress.phase.value,
            completed=done,
            total=total or None,
            detail=detail(progress) or printable(reason),
        )


class _Lines:
    """One line for each phase, so that a log of a pipeline stays short."""

    def __init__(self) -> None:
        self._phase: Phase | None = None

    def log(self, text: str) -> None:
        sys.stderr.write(text if text.endswith("\n") else f"{text}\n")

    def progress(self, progress: Progress, reason: str) -> None:
        if progress.phase is self._phase or progress.phase is Phase.ENDED:
            return
        self._phase = progress.phase
        known = detail(progress)
        line = f"{progress.phase.value} ({known})" if known else progress.phase.value
        click.echo(f"{line}: {printable(reason)}" if reason else line, err=True)
