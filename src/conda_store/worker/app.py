"""The worker as a program: made from the configuration, and stopped by a signal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from conda_store.config.blueprint import Blueprint
from conda_store.config.logs import configure_logging
from conda_store.db import migrate
from conda_store.db.engine import Changes
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
    context = Context.assemble(blueprint)
    if validators is not None:  # of watched files; children submit nothing
        context = replace(context, validators=validators(context))
    if blueprint.upgrades_database:
        migrate.upgrade(context.database)
    ensure_channels(context)
    changes = Changes(context.database)
    writes = Writes.to(changes.written_file) if changes.written_file is not None else None
    doorbell = PollingDoorbell(changes.any, interval=_CHEAP_INTERVAL if changes.is_cheap else _INTERVAL, writes=writes)
    announcer = Announcer(context.database, on_activated) if on_activated else None
    worker = Worker(
        context,
        nursery,
        doorbell,
        concurrency=concurrency or os.cpu_count() or 1,
        indexes_channels=indexes_channels,
        announcer=announcer,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: worker.stop())
    stop_watching = threading.Event()
    watcher: threading.Thread | None = None
    with own_temporary_directory(blueprint.deployment):
        if watch_paths:
            from conda_store.worker.watcher import watch

            arguments = (context, watch_paths, stop_watching, watch_polls)
            watcher = threading.Thread(target=watch, args=arguments, daemon=True)
            watcher.start()
        worker.run()
        stop_watching.set()
        if watcher is not None:
            watcher.join(2)
    if announcer is not None:
        announcer.close()
    changes.close()
    if writes is not None:
        writes.close()
    context.database.close()
    sys.stdout.flush()
