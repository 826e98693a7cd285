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
from conda_store.db.visibility import environments_readable_by, escape_like, namespaces_seen_by, reads_everything
from conda_store.domain.access import Actor, Holder, HolderKind, Origin, RoleBinding, Source, Target, parse_binding
from conda_store.domain.roles import Permission, Role, Roles
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


def test_a_namespace_is_seen_by_whoever_may_read_something_in_it() -> None:
    with pytest.raises(Forbidden):
        actor(("a/e*", "admin")).require(Permission.NAMESPACE_DELETE, Target("a"))
    assert not actor(("a/e*", "admin")).sees(Target("ab"))


def test_what_is_named_by_the_actor_is_forbidden_whether_or_not_it_is_seen() -> None:
    with pytest.raises(Forbidden):
        actor().require(Permission.ENVIRONMENT_CREATE, Target("a", "e"), is_new=True)


def test_roles_have_names() -> None:
    roles = Roles.of({"auditor": {"namespace::read", "setting::read"}, "editor": ["environment::read"]})
    assert roles.parse("auditor").permissions == {Permission.NAMESPACE_READ, Permission.SETTING_READ}
    assert (
        roles.parse("editor")
        == roles.parse("developer")
        == Role("developer", frozenset({Permission("environment::read")}))
    )
    assert Roles().parse("editor") is Role.DEVELOPER
    with pytest.raises(InvalidInput, match="invalid role=boss") as refused:
        roles.parse("boss")
    assert refused.value.hint == "Roles are viewer, developer (= editor), admin, auditor."
    with pytest.raises(InvalidInput, match="invalid permission=environment:read"):
        Roles.of({"auditor": {"environment:read"}})
    with pytest.raises(InvalidInput, match="is no name"):
        Roles.of({"a role": set()})


@pytest.mark.parametrize(
    ("outer", "inner", "is_contained"),
    [
        ("a*b/c*d", "ab/cd", True),
        ("a*b/c*d", "a1/cd", False),
        ("a*b*c/e*d", "aaabbbcccc1c/eeddd", True),
        ("a*b*c/e*d", "aaabbbcccc1/eeddd", False),
        ("*/*", "**/*", True),
        ("a*/*", "*/*", False),
        ("a*/*", "ab*/x", True),
        ("*a/*", "a*/*", False),
        ("team/*", "team/**", True),
        ("team/e", "team/*", False),
    ],
)
def test_what_a_binding_contains(outer: str, inner: str, is_contained: bool) -> None:
    assert parse_binding(outer, "viewer").contains(parse_binding(inner, "viewer")) is is_contained


def test_what_may_be_granted_is_the_union_of_all_that_contains_it() -> None:
    somebody = actor(("d*/*", "viewer"), ("de*/*", "admin"))
    assert somebody.may_grant(parse_binding("default/*", "developer"))
    assert not somebody.may_grant(parse_binding("dcefault/*", "developer"))


def test_a_narrowed_token_may_what_its_owner_and_its_limits_permit() -> None:
    limits = (parse_binding("a/*", "admin"), parse_binding("b/*", "viewer"))
    narrowed = replace(actor(("a/*", "viewer"), ("b/*", "admin"), ("c/*", "admin")), limits=limits)
    assert narrowed.permissions(Target("a", "e")) == Role.VIEWER.permissions
    assert narrowed.permissions(Target("b")) == Role.VIEWER.permissions
    assert narrowed.permissions(Target("c")) == frozenset()
    assert narrowed.may_grant(parse_binding("a/x", "viewer"))
    assert not narrowed.may_grant(parse_binding("a/x", "developer"))
    assert not narrowed.may_grant(parse_binding("c/x", "viewer"))


def test_a_narrowed_token_permits_what_both_permit() -> None:
    narrowed = Actor("ada", "ada", (parse_binding("a*/*", "developer"),), limits=(parse_binding("ab/*", "admin"),))
    assert narrowed.permissions(Target("ab", "e")) == Role.DEVELOPER.permissions
    assert not narrowed.permissions(Target("aa", "e"))
    assert not narrowed.sees(Target("aa"))
    decision = narrowed.decide(Permission.ENVIRONMENT_READ, Target("aa", "e"))
    assert decision.is_withheld
    assert not Actor("ada", "ada", (parse_binding("*/*", "admin"),), limits=()).may_somewhere(Permission.NAMESPACE_READ)


def test_a_decision_says_why() -> None:
    share = Origin(Source.SHARE, "group science")
    somebody = Actor("ada", "ada", (parse_binding("team/*", "viewer", origin=share),))
    target = Target("team", "one")
    assert str(somebody.decide(Permission.ENVIRONMENT_READ, target)) == (
        "ada may environment::read on team/one: viewer on team/* (share, for group science)"
    )
    assert str(somebody.decide(Permission.ENVIRONMENT_DELETE, target)) == (
        "ada may not environment::delete on team/one: has only viewer on team/* (share, for group science)"
    )
    with pytest.raises(NotFound) as refused:
        somebody.require(Permission.ENVIRONMENT_READ, Target("other", "one"))
    assert refused.value.reason == "ada may not environment::read on other/one: has no role there"
    assert refused.value.message == "environment does not exist"


def test_only_who_has_said_who_they_are_holds_roles() -> None:
    somebody = Actor("ada", "home", is_authenticated=True, groups=("science",))
    assert somebody.holders == (
        Holder(HolderKind.USER, "ada"),
        Holder(HolderKind.GROUP, "science"),
        Holder(HolderKind.NAMESPACE, "home"),
    )
    assert Actor("anonymous", "default").holders == ()


@pytest.mark.parametrize("entity", ["a", "a/b/c", "/", "a/", "ä/*", "a b/*"])
def test_what_is_no_entity(entity: str) -> None:
    with pytest.raises(InvalidInput, match="invalid entity"):
        parse_binding(entity, "viewer")


def test_escaped_text_is_matched_literally() -> None:
    assert escape_like("50%_\\") == "50\\%\\_\\\\"


PATTERNS = [*NAMES, "*", "**", "a*", "*b", "team-*", "*_*", "*.*"]


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


READER = Role("reader", frozenset({Permission.ENVIRONMENT_READ}))
LISTER = Role("lister", frozenset({Permission.NAMESPACE_READ}))
STRANGE = Role("strange", frozenset({Permission.ENVIRONMENT_DELETE}))
some_bindings = st.lists(
    st.builds(
        RoleBinding,
        st.sampled_from(PATTERNS),
        st.sampled_from(PATTERNS),
        st.sampled_from([Role.VIEWER, Role.ADMIN, READER, LISTER, STRANGE]),
    ),
    max_size=5,
).map(tuple)


@settings(max_examples=150, deadline=None)
@given(held=some_bindings, limits=st.none() | some_bindings)
def test_the_rule_and_its_sql_agree(
    database: Database, held: tuple[RoleBinding, ...], limits: tuple[RoleBinding, ...] | None
) -> None:
    somebody = Actor("somebody", "a", held, limits=limits)
    with database.read() as connection:
        rows = connection.execute(
            select(namespace.c.name, environment.c.name)
            .join_from(environment, namespace, namespace.c.id == environment.c.namespace_id)
            .where(environments_readable_by(somebody))
        ).all()
        seen = connection.execute(select(namespace.c.name).where(namespaces_seen_by(somebody))).scalars().all()
    expected = {
        (first, second)
        for first in NAMES
        for second in NAMES
        if somebody.may(Permission.ENVIRONMENT_READ, Target(first, second))
    }
    assert {(row[0], row[1]) for row in rows} == expected
    assert set(seen) == {name for name in NAMES if somebody.sees(Target(name))}
    # whatever may be read is in a namespace that is seen, and so is a namespace that may be read
    assert {first for first, _ in expected} <= set(seen)
    assert {name for name in NAMES if somebody.may(Permission.NAMESPACE_READ, Target(name))} <= set(seen)
    if reads_everything(somebody):
        assert len(expected) == len(NAMES) ** 2


@settings(max_examples=150, deadline=None)
@given(held=some_bindings, limits=st.none() | some_bindings, passed_on=some_bindings)
def test_what_is_passed_on_permits_nothing_new(
    held: tuple[RoleBinding, ...], limits: tuple[RoleBinding, ...] | None, passed_on: tuple[RoleBinding, ...]
) -> None:
    somebody = Actor("somebody", "a", held, limits=limits)
    other = Actor("other", "b", tuple(binding for binding in passed_on if somebody.may_grant(binding)))
    targets = [Target(), *map(Target, NAMES), *(Target(first, second) for first in NAMES for second in NAMES)]
    for target in targets:
        assert other.permissions(target) <= somebody.permissions(target)
