from __future__ import annotations

from conda_store.server.editors import PRESENT_SECONDS, Editors

SCIENCE = ("team", "science")


def test_those_who_have_it_open_hear_of_each_other_until_they_leave_or_are_silent() -> None:
    moment = [1000.0]
    editors = Editors(lambda: moment[0])
    assert editors.note(SCIENCE, "user:ada", "ada") == ()
    assert editors.note(SCIENCE, "user:ada", "ada") == (), "one with two windows is one"
    assert editors.note(SCIENCE, "user:bob", "bob") == ("ada",)
    assert editors.note(("team", "other"), "user:cyd", "cyd") == ()
    assert editors.note(SCIENCE, "user:ada", "ada") == ("bob",)
    editors.leave(SCIENCE, "user:bob")
    editors.leave(("no", "such"), "user:bob")
    assert editors.note(SCIENCE, "user:ada", "ada") == ()
    moment[0] += PRESENT_SECONDS + 1
    assert editors.note(SCIENCE, "user:bob", "bob") == ()
