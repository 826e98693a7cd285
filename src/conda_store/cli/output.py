"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

Command = TypeVar("Command", bound=Callable[..., Any])

# every control character but tab and newline: a terminal would obey them
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_UNWRAPPED = 1000


def output_option(command: Command) -> Command:
    """Adds `--output table|json`, passed as `output`."""
    return click.option(
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="A table for people or JSON for programs.",
    )(command)


def yes_option(command: Command) -> Command:
    """Adds `--yes`, passed as `yes`."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask first.")(command)


def require_consent(question: str, yes: bool) -> None:
    """Ask, unless `yes`; anything but a yes ends the command with status 1."""
    if not yes and not click.confirm(question, err=True):
        click.echo("Nothing was done.", err=True)
        raise click.exceptions.Exit(1)


def binary_size(count: int) -> str:
    """Bytes in binary units with one digit after the point: `11.8MiB`."""
    size = float(count)
    for unit in _UNITS[:-1]:
        if abs(size) < 1024:
            return f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.1f}{_UNITS[-1]}"


def local_minute(moment: datetime | str) -> str:
    """A moment in the time of this machine, to the minute; texts are the server's, in UTC."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def printable(text: str) -> str:
    """Text that came from elsewhere, without what would steer the terminal."""
    return _CONTROL.sub("�", text.replace("\r\n", "\n"))


def print_json(value: Any) -> None:
    click.echo(json.dumps(value))


def print_word(word: str) -> None:
    """A word for programs, which want no end of line; on a terminal the prompt is to stand below it."""
    click.echo(word, nl=sys.stdout.isatty())


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table as wide as the terminal, or as wide as it needs where there is none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(printable("" if cell is None else str(cell))) for cell in row))
    width = None if sys.stdout.isatty() else _UNWRAPPED
    Console(file=sys.stdout, width=width, highlight=False).print(table)


def error_console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)
