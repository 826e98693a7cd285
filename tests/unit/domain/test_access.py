"""The rule of who may do what, and that its SQL form says the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from conda_store.db.engine import Database
from conda_store.db.tables import environment, metadata, namespace
from conda_store.db.visibility import environments_readable_by, escape_like
from conda_store.domain.access import (
    ROLE_PERMISSIONS,
    Actor,
    Permission,
    Role,
    RoleBinding,
    Target,
    parse_binding,
    parse_role,
)
from conda_store.errors import Forbidden, InvalidInput, NotFound

NAMES = ["a", "A", "a.b", "axb", "a_b", "team-1", "team-2", "x+y", "my_ns", "myXns", "ab"]


def actor(*bindings: tuple[str, str]) -> Actor:
    return Actor("somebody", "a", tuple(parse_binding(entity, role) for entity, role in bindings))


@pytest.mark.parametrize(
    ("entity", "target", "is_covered"),
    [
        ("a/*", Target("a", "e"), True),
        ("a/*", Target("a"), True),
        ("a/e", Target("a"), False),  # a namespace needs a namespace-wide binding
        ("a/e*", Target("a", "e1"), True),
        ("a.b/*", Target("axb", "e"), False),  # a dot is a dot
        ("x+y/*", Target("x+y", "e"), True),
        ("*/*", Target(), True),
        ("a*/*", Target(), False),
        ("*/e", Target(), False),
        ("*/*", Target("any", "thing"), True),
        ("team-*/*", Target("team-/x", None), False),
    ],
)
def test_what_a_binding_covers(entity: str, target: Target, is_covered: bool) -> None:
    assert parse_binding(entity, "viewer").covers(target) is is_covered


def test_unseen_is_not_found_and_seen_is_forbidden() -> None:
    with pytest.raises(NotFound):
        actor().require(Permission.ENVIRONMENT_DELETE, Target("a", "e"))
    with pytest.raises(NotFound):
        actor().require(Permission.NAMESPACE_DELETE, Target("a"))
    with pytest.raises(Forbidden):
        actor(("a/*", "viewer")).require(Permission.ENVIRONMENT_DELETE, Target("a", "e"))
    actor(("a/*", "admin")).require(Permission.ENVIRONMENT_DELETE, Target("a", "e"))


def test_a_narrowed_token_may_what_its_owner_and_its_limits_permit() -> None:
    limits = (parse_binding("a/*", "admin"), parse_binding("b/*", "viewer"))
    narrowed = replace(actor(("a/*", "viewer"), ("b/*", "admin"), ("c/*", "admin")), limits=limits)
    viewer = ROLE_PERMISSIONS[Role.VIEWER]
    assert narrowed.permissions(Target("a", "e")) == viewer
    assert narrowed.permissions(Target("b")) == viewer
    assert narrowed.permissions(Target("c")) == frozenset()
    assert narrowed.may_grant(parse_binding("a/x", "viewer"))
    assert not narrowed.may_grant(parse_binding("a/x", "developer"))
    assert not narrowed.may_grant(parse_binding("c/x", "viewer"))


@pytest.mark.parametrize(
    ("inner", "outer", "is_contained"),
    [
        ("ab/cd", "a*b/c*d", True),
        ("a1/cd", "a*b/c*d", False),
        ("aaabbbcccc1c/eeddd", "a*b*c/e*d", True),
        ("aaabbbcccc1/eeddd", "a*b*c/e*d", False),
        ("a*/x", "*/x", True),
        ("*/x", "a*/x", False),
        ("a/*", "a/x", False),
        ("axb/*", "a.b/*", False),
    ],
)
def test_which_bindings_contain_others(inner: str, outer: str, is_contained: bool) -> None:
    assert actor((outer, "viewer")).may_grant(parse_binding(inner, "viewer")) is is_contained


def test_what_may_be_granted_is_the_union_of_all_that_contains_it() -> None:
    somebody = actor(("d*/*", "viewer"), ("de*/*", "admin"))
    assert somebody.may_grant(parse_binding("default/*", "developer"))
    assert not somebody.may_grant(parse_binding("dcefault/*", "developer"))


def test_editor_is_developer() -> None:
    assert parse_role("editor") is Role.DEVELOPER
    with pytest.raises(InvalidInput, match="invalid role=boss"):
        parse_role("boss")


@pytest.mark.parametrize("entity", ["a", "a/b/c", "/", "a/", "ä/*", "a b/*"])
def test_what_is_no_entity(entity: str) -> None:
    with pytest.raises(InvalidInput, match="invalid entity"):
        parse_binding(entity, "viewer")


def test_escaped_text_is_matched_literally() -> None:
    assert escape_like("50%_\\") == "50\\%\\_\\\\"


patterns = st.lists(st.sampled_from([*NAMES, "*", "a*", "*b", "team-*", "*_*", "*.*"]), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Every name as a namespace that holds every name as an environment."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('access')}/access.sqlite")
    metadata.create_all(database.engine)
    with database.write() as connection:
        for number, first in enumerate(NAMES):
            connection.execute(insert(namespace).values(id=number, name=first, metadata_={}))
            for second in NAMES:
                connection.execute(insert(environment).values(namespace_id=number, name=second))
    yield database
    database.close()


several = st.lists(st.tuples(patterns, patterns), max_size=3).map(
    lambda pairs: tuple(
        RoleBinding(first, second, Role.VIEWER) for firsts, seconds in pairs for first in firsts for second in seconds
    )
)


@settings(max_examples=60, deadline=None)
@given(bindings=several, limits=st.none() | several)
def test_the_rule_and_its_sql_agree(
    database: Database, bindings: tuple[RoleBinding, ...], limits: tuple[RoleBinding, ...] | None
) -> None:
    somebody = Actor("somebody", "a", bindings, limits=limits)
    with database.read() as connection:
        rows = connection.execute(
            select(namespace.c.name, environment.c.name)
            .join_from(environment, namespace, namespace.c.id == environment.c.namespace_id)
            .where(environments_readable_by(somebody))
        ).all()
    expected = {
        (first, second)
        for first in NAMES
        for second in NAMES
        if somebody.may(Permission.ENVIRONMENT_READ, Target(first, second))
    }
    assert {(row[0], row[1]) for row in rows} == expected
