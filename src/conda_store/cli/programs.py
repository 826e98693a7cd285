"""`conda-store-server` and `conda-store-worker`: the programs that operators run, configured by a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import conda_store
from conda_store.cli.serve import Program, run_server, run_worker
from conda_store.errors import CondaStoreError


def server(arguments: Sequence[str] | None = None) -> None:
    """`conda-store-server [--config FILE] [--standalone] [--Class.option=value ...]`."""
    program = _program("conda-store-server", arguments)
    _run(lambda: run_server(program, has_worker=program.standalone, remembers_token=program.standalone))


def worker(arguments: Sequence[str] | None = None) -> None:
    """`conda-store-worker [--config FILE] [--Class.option=value ...]`."""
    program = _program("conda-store-worker", arguments)
    _run(lambda: run_worker(program))


def _program(name: str, arguments: Sequence[str] | None) -> Program:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--version" in given:
        print(conda_store.__version__)
        sys.exit(0)
    program = Program()
    program.name = name
    _run(lambda: program.read(given))
    return program


def _run(action: Callable[[], None]) -> None:
    try:
        action()
    except CondaStoreError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
