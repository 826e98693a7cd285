"""Every act that the audit log notes has words."""

from __future__ import annotations

from conda_store.domain.audit import OTHER_ACTIONS
from conda_store.domain.roles import Permission
from conda_store.server.web.shown import ACTS, act


def test_every_act_has_words_of_its_own() -> None:
    assert set(ACTS) == {*Permission, *OTHER_ACTIONS}
    assert len(set(ACTS.values())) == len(ACTS)
    assert act("environment::delete") == "delete an environment"
    assert act("of::old") == "of::old"
