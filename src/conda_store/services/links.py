"""The symlink of an environment says what the database says: replaced by rename, never missing in between."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from conda_store.db import environments
from conda_store.services.context import Context

logger = structlog.get_logger()


def update_links(context: Context) -> None:
    """Set every symlink that does not point to its environment's active build; removes those of deleted ones."""
    with context.database.read() as connection:
        changes = environments.links_to_change(connection)
    for change in changes:
        link = context.deployment.environment_link(change.namespace, change.name)
        try:
            if link is not None and change.prefix is not None:
                if change.build_id is not None:
                    _point(link, Path(change.prefix))
                elif link.is_symlink() and link.readlink() == Path(change.prefix):
                    link.unlink()
        except OSError as error:
            logger.error("symlink cannot be set", link=str(link), error=str(error))
            continue
        with context.database.write() as connection:
            environments.set_linked(connection, change.environment_id, change.build_id)


def _point(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() and link.readlink() == target:
        return
    staging = link.with_name(f"%{os.getpid()}-{link.name}"[:255])
    staging.unlink(missing_ok=True)
    staging.symlink_to(target)
    staging.replace(link)
