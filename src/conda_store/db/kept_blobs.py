"""The blobs of images that are in the storage, and which of them nobody needs any more.

Mark and sweep, beside makers of images at any point of their work. Whoever is going to store a blob, or to use a layer
that is known, *claims* it first. What no image has, and nobody has claimed for a while, is *doomed*: its layer is
forgotten, so that nobody can find it any more. Then its blob is removed, unless somebody has claimed it meanwhile. All
steps are writing transactions, of which there is one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, select, update

from conda_store.db.portions import portions
from conda_store.db.tables import image_blob, kept_blob, layer


def claim(connection: Connection, digests: Collection[str]) -> None:
    """From now on the blobs are needed: they are not removed before they have been unused for long."""
    now = time.time()
    for some in portions(sorted(set(digests))):
        known = set(connection.execute(select(kept_blob.c.digest).where(kept_blob.c.digest.in_(some))).scalars())
        if known:
            connection.execute(
                update(kept_blob).where(kept_blob.c.digest.in_(known)).values(used_on=now, is_doomed=False)
            )
        if fresh := [digest for digest in some if digest not in known]:
            connection.execute(
                insert(kept_blob), [{"digest": digest, "used_on": now, "is_doomed": False} for digest in fresh]
            )


def are_all_kept(connection: Connection, digests: Collection[str]) -> bool:
    """Whether nobody has swept one of them away since it was claimed."""
    kept = 0
    for some in portions(sorted(set(digests))):
        condition = and_(kept_blob.c.digest.in_(some), kept_blob.c.is_doomed.is_(False))
        kept += connection.execute(select(func.count()).where(condition)).scalar_one()
    return kept == len(set(digests))


def doom(connection: Connection, unused_for: timedelta) -> None:
    """Mark what is in no image and has not been claimed for so long, and forget the layers that are kept in it."""
    unused = (
        kept_blob.c.used_on <= time.time() - unused_for.total_seconds(),
        kept_blob.c.is_doomed.is_(False),
        ~_is_in_an_image(),
    )
    query = select(kept_blob.c.digest).where(*unused)
    for some in portions(connection.execute(query).scalars().all()):
        connection.execute(update(kept_blob).where(kept_blob.c.digest.in_(some)).values(is_doomed=True))
        connection.execute(delete(layer).where(layer.c.digest.in_(some)))


def doomed(connection: Connection) -> tuple[str, ...]:
    """What is marked, and still to be removed."""
    return tuple(connection.execute(select(kept_blob.c.digest).where(kept_blob.c.is_doomed)).scalars())


def forget(connection: Connection, digest: str) -> bool:
    """The caller removes the blob in this same transaction. False where somebody has claimed it meanwhile."""
    condition = and_(kept_blob.c.digest == digest, kept_blob.c.is_doomed, ~_is_in_an_image())
    return connection.execute(delete(kept_blob).where(condition)).rowcount == 1


def _is_in_an_image() -> ColumnElement[bool]:
    return exists(select(image_blob.c.digest).where(image_blob.c.digest == kept_blob.c.digest))
