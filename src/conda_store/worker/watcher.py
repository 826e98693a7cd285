"""Follows files and directories of specifications; what changes is handed in to the filesystem namespace."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import structlog
from watchfiles import watch as follow

from conda_store.domain.specification import LARGEST_SPECIFICATION
from conda_store.errors import CondaStoreError
from conda_store.services.context import Context
from conda_store.services.specifications import submit_watched

logger = structlog.get_logger()

SUFFIXES = (".yaml", ".yml")
_LOOK_ANYWAY_SECONDS = 60.0
_LOOK_AGAIN_MILLISECONDS = 1000


def watch(context: Context, paths: Iterable[str], stop: threading.Event, polls: bool) -> None:
    """Hand in every specification found, now and whenever one changes, until `stop` is set.

    One broken file is reported and stops no other. What is not there yet is looked for again every minute.
    """
    wanted = [Path(path) for path in paths]
    submit_all(context, wanted)
    while not stop.is_set():
        try:
            _follow(context, wanted, stop, polls)
        except Exception:  # the kernel's limit on watches, a directory that vanishes meanwhile
            logger.exception("files cannot be followed for the moment")
            stop.wait(_LOOK_ANYWAY_SECONDS)
        if not stop.is_set():
            submit_all(context, wanted)


def _follow(context: Context, wanted: Sequence[Path], stop: threading.Event, polls: bool) -> None:
    """Until what there is to follow changes."""
    followed = {path if path.is_dir() else path.parent for path in wanted}
    present = [path for path in followed if path.is_dir()]
    if not present:
        stop.wait(_LOOK_ANYWAY_SECONDS)
        return
    looked = float("-inf")
    try:
        for changes in follow(
            *present,
            stop_event=stop,
            recursive=False,
            force_polling=polls or None,
            rust_timeout=_LOOK_AGAIN_MILLISECONDS,
            yield_on_timeout=True,
            raise_interrupt=False,
        ):
            # once without any change too: something may have come between the first look and the watch
            if not changes and time.monotonic() - looked < _LOOK_ANYWAY_SECONDS:
                continue
            looked = time.monotonic()
            submit_all(context, wanted)
            if any(path.is_dir() != (path in present) for path in followed):
                break
    except RuntimeError as error:
        if "decode path" not in str(error):
            raise
        # what changed has a name that is not UTF-8: a change all the same, and the others are followed on


def specification_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files among the paths, and those directly in the directories."""
    for path in paths:
        if path.is_dir():
            try:
                found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
            except OSError as error:
                logger.warning("watched directory left aside", path=str(path), error=str(error))
                continue
            yield from found
        elif path.is_file():
            yield path


def submit_all(context: Context, paths: Iterable[Path]) -> None:
    for file in specification_files(paths):
        try:
            with file.open("rb") as opened:  # no more of it than is needed to see that it is too large
                build_id = submit_watched(context, opened.read(LARGEST_SPECIFICATION + 1), file.stem)
        except (CondaStoreError, OSError) as error:
            logger.warning("watched file left aside", path=str(file), error=str(error))
        except Exception:
            logger.exception("watched file left aside", path=str(file))
        else:
            if build_id is not None:
                logger.info("watched file handed in", path=str(file), build_id=build_id)
