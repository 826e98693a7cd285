"""`conda-store solve`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from conda_store.cli.connecting import Asked, connected
from conda_store.cli.environment import read_text
from conda_store.cli.output import binary_size, output_option, print_json, print_table
from conda_store.domain.specification import Specification, parse_specification
from conda_store.errors import InvalidInput


@click.command()
@click.argument("filename", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@output_option
@click.pass_obj
def solve(asked: Asked, filename: Path, output: str) -> None:
    """Show the packages that the environment.yaml FILENAME comes to; nothing is built.

    The server solves. `-` reads standard input.
    """
    wanted = read_specification(filename)
    with connected(asked) as session:
        packages = session.solve(wanted.channels, wanted.dependencies, wanted.pip or ())
    if output == "json":
        print_json([{**package.raw, "size": binary_size(package.size)} for package in packages])
        return
    rows = [(package.name, package.version, package.channel, binary_size(package.size)) for package in packages]
    print_table("Packages", ("Name", "Version", "Channel", "Size"), rows)
    click.echo(f"Total Size: {binary_size(sum(package.size for package in packages))}")


def read_specification(file: Path) -> Specification:
    """The specification in an `environment.yaml`; a name is not needed.

    Raises:
        InvalidInput: it is no YAML, or no specification.
        OSError: it cannot be read.
    """
    import yaml

    try:
        document: Any = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise InvalidInput(f"{file} is no YAML: {error}") from error
    if isinstance(document, Mapping):
        document = {"name": "solve", **document}
    return parse_specification(document)
