"""Lists count once as long as nothing is committed, and are never out of date for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import Connection

from conda_store.db.builds import BuildFilter
from conda_store.db.engine import Database
from conda_store.db.environments import EnvironmentFilter
from conda_store.db.kept import once
from conda_store.db.paging import PageRequest
from conda_store.db.tables import namespace
from conda_store.domain.access import SYSTEM, Actor, RoleBinding
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.roles import Role
from conda_store.domain.search import parse_search
from conda_store.services.builds import list_builds
from conda_store.services.context import Context
from conda_store.services.environments import delete_environment, list_environments
from conda_store.services.namespaces import usage
from conda_store.services.specifications import Submission, submit
from tests.queueing import handed_in, run

VIEWER = Actor("viewer", "ns", (RoleBinding("ns", "e1*", Role.VIEWER),))


@pytest.fixture
def other(context: Context) -> Iterator[Database]:
    """The same database, as another process has it open."""
    with closing(Database(context.database.engine.url.render_as_string(hide_password=False))) as database:
        yield database


def counts(context: Context, actor: Actor = SYSTEM) -> tuple[int, int, int]:
    """Of environments, of builds, and of builds in what is used."""
    return (
        list_environments(context, actor, EnvironmentFilter(), PageRequest()).count,
        list_builds(context, actor, BuildFilter(), PageRequest()).count,
        sum(item.builds for item in usage(context, actor)),
    )


def test_counts_follow_what_is_committed(context: Context) -> None:
    assert counts(context) == (0, 0, 0)
    handed_in(context, "python", name="e1")
    assert counts(context) == (1, 1, 1)
    handed_in(context, "python", name="e2")
    handed_in(context, "numpy", name="e2")
    assert counts(context) == counts(context) == (2, 3, 3)
    delete_environment(context, SYSTEM, "ns", "e2")
    assert counts(context) == (1, 1, 1)


def test_counts_follow_what_others_commit(context: Context, other: Database) -> None:
    handed_in(context, "python", name="e1")
    assert counts(context) == (1, 1, 1)
    with other.write() as connection:
        connection.execute(namespace.insert().values(name="another", metadata_={}))
    elsewhere = Context(other, context.blobs, context.builder, context.packages, context.deployment)
    handed_in(elsewhere, "python", name="e2")
    assert counts(context) == counts(elsewhere) == (2, 2, 2)


def test_counts_are_those_of_who_asks(context: Context) -> None:
    for name in ("e1", "e11", "e2"):
        handed_in(context, "python", name=name)
    assert (counts(context), counts(context, VIEWER)) == ((3, 3, 3), (2, 2, 2))
    by_name = list_builds(context, SYSTEM, BuildFilter(name="e2"), PageRequest())
    assert (by_name.count, counts(context)) == (1, (3, 3, 3))


def test_a_question_is_asked_once_as_long_as_nothing_is_committed(context: Context, other: Database) -> None:
    asked = []

    def find() -> int:
        asked.append(1)
        return len(asked)

    def answer(question: str = "how many?") -> int:
        with context.database.read() as connection:
            return once(connection, question, find)

    assert [answer(), answer(), answer("another"), answer()] == [1, 1, 2, 1]
    with other.write() as connection:
        connection.execute(namespace.insert().values(name="another", metadata_={}))
    assert [answer(), answer()] == [3, 3]
    with context.database.write() as connection:
        assert [once(connection, "how many?", find) for _ in range(2)] == [4, 5]


def test_what_an_old_transaction_sees_is_not_kept_for_a_new_one(context: Context, other: Database) -> None:
    def count(connection: Connection) -> int:
        return once(connection, "namespaces", lambda: len(connection.execute(namespace.select()).all()))

    with context.database.read() as before:
        before.execute(namespace.select())
        with other.write() as connection:
            connection.execute(namespace.insert().values(name="another", metadata_={}))
        assert count(before) == 0
    with context.database.read() as after:
        assert count(after) == 1


FILTERS = (
    EnvironmentFilter(),
    EnvironmentFilter(search="E"),
    EnvironmentFilter(artifact=ArtifactType.LOCKFILE),
    EnvironmentFilter(packages=("python",)),
    EnvironmentFilter(terms=parse_search("python>=0")),
    EnvironmentFilter(terms=parse_search("environ")),
)


def test_many_are_listed_in_the_order_of_few(context: Context) -> None:
    spaces = ("zoo", "ns", "apes")
    for number in range(12):
        text = f"name: Environ{number % 7}{number}\ndependencies: [python]\n"
        run(context, submit(context, SYSTEM, Submission(text.encode(), namespace=spaces[number % 3])))

    def listed(wanted: EnvironmentFilter, size: int, *, is_descending: bool) -> list[tuple[str, str]]:
        pages = (
            list_environments(context, SYSTEM, wanted, PageRequest(page, size, is_descending=is_descending)).rows
            for page in range(1, 12 // size + 2)
        )
        return [(row.namespace.name, row.name) for rows in pages for row in rows]

    expected = sorted((spaces[number % 3], f"Environ{number % 7}{number}") for number in range(12))
    for wanted in FILTERS:
        for size in (1, 100):
            assert listed(wanted, size, is_descending=False) == expected, (wanted, size)
            assert listed(wanted, size, is_descending=True) == expected[::-1], (wanted, size)
