"""The worker as a program: made from the configuration, and stopped by a signal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from conda_store.config.blueprint import Blueprint
from conda_store.config.logs import configure_logging
from conda_store.db import migrate
from conda_store.db.engine import Changes, Database
from conda_store.queue.doorbell import PollingDoorbell
from conda_store.queue.writes import Writes
from conda_store.services.context import Context
from conda_store.services.packages import ensure_channels
from conda_store.services.temporary_files import own_temporary_directory
from conda_store.services.validating import Validators
from conda_store.worker.announcing import Announcer, Hook
from conda_store.worker.child import die_with_parent
from conda_store.worker.loop import Worker
from conda_store.worker.processes import Nursery

_CHEAP_INTERVAL = 0.05
_INTERVAL = 0.25


def run_worker(
    blueprint: Blueprint,
    *,
    concurrency: int | None = None,
    watch_paths: tuple[str, ...] = (),
    watch_polls: bool = False,
    indexes_channels: bool = True,
    dies_with: int | None = None,
    log_level: int = 20,
    on_activated: Hook | None = None,
    validators: Callable[[Context], Validators] | None = None,
) -> None:
    """Work until SIGTERM or SIGINT, or until the process `dies_with` ends. `on_activated` is told every environment
    whose active build has changed.

    Raises:
        ConfigurationError: the database or the directories cannot be used.
    """
    if dies_with is not None:
        die_with_parent(signal.SIGTERM, dies_with)
    configure_logging(log_level)
    nursery = Nursery(partial(Context.assemble, blueprint), partial(configure_logging, log_level))
    with ExitStack() as stack:
        context = Context.assemble(blueprint)
        stack.callback(context.database.close)
        if validators is not None:  # of watched files; children submit nothing
            context = replace(context, validators=validators(context))
        if blueprint.upgrades_database:
            migrate.upgrade(context.database)
        ensure_channels(context)
        announcer = Announcer(context.database, on_activated) if on_activated else None
        if announcer is not None:
            stack.callback(announcer.close)
        worker = Worker(
            context,
            nursery,
            _doorbell(context.database, stack),
            concurrency=concurrency or os.cpu_count() or 1,
            indexes_channels=indexes_channels,
            announcer=announcer,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: worker.stop())
        with own_temporary_directory(blueprint.deployment), _watching(context, watch_paths, watch_polls):
            worker.run()
    sys.stdout.flush()


def _doorbell(database: Database, stack: ExitStack) -> PollingDoorbell:
    """What it uses is closed with the stack."""
    changes = Changes(database)
    stack.callback(changes.close)
    writes = Writes.to(changes.written_file) if changes.written_file is not None else None
    if writes is not None:
        stack.callback(writes.close)
    return PollingDoorbell(changes.any, interval=_CHEAP_INTERVAL if changes.is_cheap else _INTERVAL, writes=writes)


@contextmanager
def _watching(context: Context, paths: tuple[str, ...], polls: bool) -> Iterator[None]:
    """Within, files of specifications are followed, if there are any paths."""
    if not paths:
        yield
        return
    from conda_store.worker.watcher import watch

    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(context, paths, stop, polls), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join(2)
