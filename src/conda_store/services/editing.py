"""Two who change the same environment hear of each other, whichever replica each of them is at.

A hint to people. What keeps builds from overwriting each other unseen is the number of the newest build that comes with
the form (see `specifications.submit`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from conda_store.db import editors, environments
from conda_store.domain.access import Actor, Target
from conda_store.domain.roles import Permission
from conda_store.services.context import Context

PRESENT = timedelta(minutes=2)
# pages ask every few seconds; a sign that is younger than this is not written again
_WRITTEN = timedelta(seconds=45)


def note_editing(
    context: Context, actor: Actor, namespace: str, name: str, now: datetime | None = None
) -> tuple[str, ...]:
    """The names of the others who have the environment open for changing; from now on the actor is one of them. Nobody
    for who may not change it, and who is not told of."""
    if not actor.is_authenticated or not actor.may(Permission.ENVIRONMENT_CREATE, Target(namespace, name)):
        return ()
    now = now or datetime.now(UTC)
    with context.database.read() as connection:
        environment = environments.find(connection, namespace, name)
        if environment is None:
            return ()
        there = editors.present(connection, environment.id, now - PRESENT)
    own = there.pop(actor.identity, None)
    if own is None or own[1] < now - _WRITTEN:
        with context.database.write(is_act=False) as connection:
            if environments.find(connection, namespace, name) is not None:
                editors.forget(connection, now - PRESENT)
                editors.note(connection, environment.id, actor.identity, actor.name, now)
    return tuple(sorted({other for other, _ in there.values()}))
