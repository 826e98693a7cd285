"""The symlink of an environment says what the database says: replaced by rename, never missing in between."""

from __future__ import annotations

from pathlib import Path

import structlog

from conda_store.db import environments
from conda_store.db.environments import LinkChange
from conda_store.db.records import BuildRecord
from conda_store.services.context import Context

logger = structlog.get_logger()


def update_links(context: Context) -> tuple[LinkChange, ...]:
    """Set every symlink that does not point to its environment's active build; removes those of deleted ones.

    Returns what was changed.
    """
    with context.database.read() as connection:
        changes = environments.links_to_change(connection)
    done: list[LinkChange] = []
    for environment_id in dict.fromkeys(change.environment_id for change in changes):
        done += _update(context, environment_id)
    return tuple(done)


def _update(context: Context, environment_id: int) -> list[LinkChange]:
    """Symlink and row change under the write lock: else of two processes the one with the older view may come last."""
    done = []
    with context.database.write() as connection:
        for change in environments.links_to_change(connection, environment_id):
            link = context.deployment.environment_link(change.namespace, change.name)
            try:
                if link is not None and change.prefix is not None:
                    _point(link, Path(change.prefix))
                elif link is not None:
                    _staging(link).unlink(missing_ok=True)
                    if link.is_symlink() and environments.has_prefix(connection, environment_id, str(link.readlink())):
                        link.unlink()
            except OSError as error:
                logger.error("symlink cannot be set", link=str(link), error=str(error))
            else:
                environments.set_linked(connection, environment_id, change.build_id)
                done.append(change)
    return done


def remove_unrecorded(context: Context, build: BuildRecord) -> None:
    """Remove a link to the build that was set, or half made, when its process was killed before it was written down; to
    be called in a writing transaction, as links are set."""
    link = context.deployment.environment_link(build.namespace, build.environment)
    if link is None:
        return
    _staging(link).unlink(missing_ok=True)
    if build.prefix is not None and link.is_symlink() and link.readlink() == Path(build.prefix):
        link.unlink()


def _point(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    staging = _staging(link)
    staging.unlink(missing_ok=True)
    if link.is_symlink() and link.readlink() == target:
        return
    staging.symlink_to(target)
    staging.replace(link)


def _staging(link: Path) -> Path:
    """Always of one name, so that what a killed process leaves is taken away by the next one."""
    return link.with_name(f"%-{link.name}"[:255])
