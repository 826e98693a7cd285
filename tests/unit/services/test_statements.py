"""What use cases ask of the database."""

from __future__ import annotations

from sqlalchemy import event

from conda_store.domain.access import SYSTEM
from conda_store.services.context import Context
from conda_store.services.settings import update_settings


def test_nothing_is_deleted_where_nothing_is_unset(context: Context) -> None:
    begun: list[str] = []
    event.listen(context.database.engine, "before_cursor_execute", lambda *given: begun.append(given[2]))
    update_settings(context, SYSTEM, {"storage_threshold": 1})
    assert [statement for statement in begun if statement.startswith("DELETE")] == []
    update_settings(context, SYSTEM, {}, unset=["storage_threshold"])
    assert sum(statement.startswith("DELETE") for statement in begun) == 1
