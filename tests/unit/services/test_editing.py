"""Who edits what, told through the database: two contexts on one are two replicas."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import event, func, select

from conda_store.db.tables import editor
from conda_store.domain.access import SYSTEM
from conda_store.services.context import Context
from conda_store.services.editing import PRESENT, note_editing
from conda_store.services.environments import delete_environment
from conda_store.services.specifications import Submission, submit
from tests.queueing import opened

ADA = replace(SYSTEM, name="ada", identity="user:ada")
BOB = replace(SYSTEM, name="bob", identity="user:bob")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TEXT = b"name: science\nchannels: [forge]\ndependencies: [zlib]\n"


def test_those_who_have_it_open_hear_of_each_other_at_any_replica(context: Context, tmp_path: Path) -> None:
    other = opened(f"sqlite:///{tmp_path}/conda-store.sqlite", tmp_path)
    submit(context, SYSTEM, Submission(TEXT, "team"))
    submit(context, SYSTEM, Submission(TEXT.replace(b"science", b"other"), "team"))
    assert note_editing(context, ADA, "team", "science", NOW) == ()
    assert note_editing(other, ADA, "team", "science", NOW) == (), "one with two windows is one"
    assert note_editing(other, BOB, "team", "science", NOW) == ("ada",)
    assert note_editing(other, BOB, "team", "other", NOW) == ()
    assert note_editing(context, replace(ADA, bindings=()), "team", "science", NOW) == ()
    assert note_editing(context, replace(ADA, is_authenticated=False), "team", "science", NOW) == ()
    assert note_editing(context, ADA, "team", "science", NOW) == ("bob",)
    submit(other, BOB, Submission(TEXT, "team"))
    assert note_editing(context, ADA, "team", "science", NOW) == (), "bob has handed it in"
    later = NOW + PRESENT + timedelta(seconds=1)
    assert note_editing(other, BOB, "team", "science", later) == (), "ada has been silent for long"
    other.database.close()


def test_a_sign_is_written_now_and_then_only(context: Context) -> None:
    submit(context, SYSTEM, Submission(TEXT, "team"))
    begun: list[str] = []
    event.listen(context.database.engine, "before_cursor_execute", lambda *given: begun.append(given[2]))
    for seconds in range(0, 60, 10):
        note_editing(context, ADA, "team", "science", NOW + timedelta(seconds=seconds))
    assert sum("INSERT INTO editor" in statement for statement in begun) == 2
    assert sum("SELECT" in statement for statement in begun) <= 2 * 6 + 2, "two short questions each time"


def test_nothing_is_left_of_who_has_gone(context: Context) -> None:
    submit(context, SYSTEM, Submission(TEXT, "team"))
    note_editing(context, ADA, "team", "science", NOW)
    note_editing(context, BOB, "team", "science", NOW + PRESENT)
    with context.database.read() as connection:
        assert connection.execute(select(editor.c.name)).scalars().all() == ["bob"]
    delete_environment(context, SYSTEM, "team", "science")
    assert note_editing(context, ADA, "team", "science", NOW) == ()
    with context.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(editor)).scalar_one() <= 1
