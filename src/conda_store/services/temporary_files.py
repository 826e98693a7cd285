"""Temporary files of the service: in the store, so that what a killed process leaves is found and cleared away."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from conda_store.builder.occupied import OccupiedDirectory, set_aside_abandoned
from conda_store.domain.deployment import Deployment
from conda_store.errors import ConfigurationError

logger = structlog.get_logger()

# packages have their prefix in shell scripts, in strings of Python and JSON, and in PATH
_MEANINGFUL = re.compile(r"""["'`$\\:\x00-\x1f\x7f]""")


def require_store_directory(deployment: Deployment) -> None:
    """Make the directory of environments where it is missing. A full disk is no reason not to start.

    Raises:
        ConfigurationError: it cannot be made or written to, or environments in it could not be used.
    """
    directory = deployment.store_directory
    builds = str(deployment.prefix("namespace", "key").parent)
    if found := _MEANINGFUL.search(builds):
        raise ConfigurationError(
            f"environments in {builds!r} could not be used: the character {found[0]!r} breaks their scripts",
            hint="Set c.CondaStore.store_directory (and build_directory) to a path without quotes, colons, backslashes "
            "and dollar signs.",
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        why = "" if os.access(directory, os.W_OK | os.X_OK) else "it cannot be written to"
    except OSError as error:
        why = "" if error.errno in {errno.ENOSPC, errno.EDQUOT} else str(error.strerror)
    if why:
        raise ConfigurationError(
            f"the directory of environments {str(directory)!r} cannot be used: {why}",
            hint="Set c.CondaStore.store_directory to a directory that the user of the service may write to.",
        )


@contextmanager
def own_temporary_directory(deployment: Deployment) -> Iterator[None]:
    """Let this process, and the programs that it starts, have their temporary files in a directory of its own.

    Where that cannot be made they stay where they were.
    """
    try:
        clear_temporary_files(deployment)
        own = OccupiedDirectory(deployment.temporary_directory, deployment.trash_directory)
    except OSError as error:
        logger.warning("no directory for temporary files", error=str(error))
        yield
        return
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(own.path)
    try:
        yield
    finally:
        variable, tempfile.tempdir = before
        if variable is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = variable
        own.close()


def clear_temporary_files(deployment: Deployment) -> int:
    """Set aside the temporary files of processes that are gone; of how many."""
    return set_aside_abandoned(deployment.temporary_directory, deployment.trash_directory)
