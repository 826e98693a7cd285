"""The reference page names every command and every option."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from conda_store.cli.main import COMMANDS, conda_store_command

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "command-line.md").read_text()
# common to all commands, described once at the top of the page
EVERYWHERE = {"--help"}


def walked(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walked(found, (*path, name))
    else:
        yield " ".join(path), command


ALL = dict(walked(conda_store_command))


def section(name: str) -> str:
    """What stands under the heading of a command, up to the next heading of any level."""
    match = re.search(rf"^### `{re.escape(name)}`$(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/reference/command-line.md has no section ### `{name}`"
    return match[1]


def options(command: click.Command) -> set[str]:
    shown = [item for item in command.params if isinstance(item, click.Option) and not item.hidden]
    return {text for option in shown for text in (*option.opts, *option.secondary_opts)} - EVERYWHERE


def names(text: str, option: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text) is not None


@pytest.mark.parametrize("name", ALL)
def test_every_command_is_described_with_its_options(name: str) -> None:
    text = section(name)
    missing = sorted(option for option in options(ALL[name]) if not names(text, option))
    assert not missing, f"### `{name}` does not name {', '.join(missing)}"


def test_every_global_option_and_its_variable_is_described() -> None:
    head = PAGE.partition("## Who am I")[0]
    for option in conda_store_command.params:
        assert isinstance(option, click.Option)
        for text in (*option.opts, *([option.envvar] if isinstance(option.envvar, str) else [])):
            assert names(head, text), f"the global option {text} is not described"


def test_no_section_describes_what_does_not_exist() -> None:
    sections = set(re.findall(r"^### `([^`]+)`$", PAGE, re.MULTILINE))
    assert sections <= set(ALL), f"no such command: {sections - set(ALL)}"


def test_the_commands_that_start_programs_are_among_them() -> None:
    assert {"serve", "worker", "migrate"} <= set(COMMANDS) & set(ALL)
