"""`conda-store-server` and `conda-store-worker`: the programs that operators run, configured by a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import conda_store
from conda_store.cli.lean import leave_out_rich
from conda_store.errors import CondaStoreError


def server(arguments: Sequence[str] | None = None) -> None:
    """`conda-store-server [--config FILE] [--standalone] [--Class.option=value ...]`."""

    def run(given: Sequence[str]) -> None:
        from conda_store.cli.serve import is_standalone, read_program, run_server

        program = read_program("conda-store-server", given)
        standalone = is_standalone(program)
        run_server(program, has_worker=standalone, remembers_token=standalone)

    _run(run, arguments)


def worker(arguments: Sequence[str] | None = None) -> None:
    """`conda-store-worker [--config FILE] [--Class.option=value ...]`."""

    def run(given: Sequence[str]) -> None:
        from conda_store.cli.serve import read_program, run_worker

        run_worker(read_program("conda-store-worker", given))

    _run(run, arguments)


def _run(action: Callable[[Sequence[str]], None], arguments: Sequence[str] | None) -> None:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--version" in given:
        print(conda_store.__version__)
        return
    if arguments is None:
        leave_out_rich()
    try:
        action(given)
    except CondaStoreError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # whoever read the help has seen enough; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
