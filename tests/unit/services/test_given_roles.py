"""Roles that are given while the service runs: what they permit, what lists show, and that nothing is left of them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from conda_store.db import environments, namespaces, roles
from conda_store.db.environments import EnvironmentFilter
from conda_store.db.paging import PageRequest
from conda_store.domain.access import SYSTEM, Actor, Holder, HolderKind, Target, Way, matches, parse_binding
from conda_store.domain.roles import Permission, Role
from conda_store.services import sharing
from conda_store.services.access import with_given_roles
from conda_store.services.context import Context
from conda_store.services.environments import list_environments
from conda_store.services.namespaces import delete_namespace, list_namespaces
from conda_store.services.roles import give_role, update_namespace

NAMES = ("a", "ab", "a_b", "axb", "b")
ENTITIES = ("a/*", "ab/e", "a*/e*", "*b/*", "a_b/*", "*/f", "b/e")
ROLES = ("viewer", "developer", "admin")
EVERYTHING = PageRequest(size=None)


@pytest.fixture
def filled(context: Context) -> Context:
    """Every namespace with the environments e and f."""
    with context.database.write() as connection:
        for name in NAMES:
            home = namespaces.create(connection, name)
            for environment in ("e", "f"):
                environments.create(connection, home, environment, None)
    return context


class Model:
    """The same in memory, as it is meant: who was given which role on what."""

    def __init__(self) -> None:
        self.mapped: list[tuple[Holder, str, str]] = []
        self.shared: list[tuple[Holder, str, str]] = []

    def permissions(self, actor: Actor, target: Target) -> frozenset[Permission]:
        mapped = [(entity, role) for holder, entity, role in self.mapped if holder in actor.holders]
        own = [
            (binding.entity, binding.role.name)
            for binding in actor.bindings
            if binding.entity not in {entity for entity, _ in mapped}
        ]
        shared = [(entity, role) for holder, entity, role in self.shared if holder in actor.holders]
        held: set[Permission] = set()
        for entity, role in (*own, *mapped, *shared):
            namespace, _, environment = entity.partition("/")
            covers = environment == "*" if target.environment is None else matches(environment, target.environment)
            if matches(namespace, str(target.namespace)) and covers:
                held |= parse_binding(entity, role).role.permissions
        return frozenset(held)


def given(context: Context, chance: random.Random, version: int) -> Model:
    model = Model()
    for name in chance.sample(NAMES, 3):
        mappings = {entity: [chance.choice(ROLES)] for entity in chance.sample(ENTITIES, 2)}
        update_namespace(context, SYSTEM, name, None, mappings)
        other = chance.choice(NAMES)
        role = chance.choice(ROLES)
        give_role(context, SYSTEM, name, other, role)
        if version == 1:
            holder = Holder(HolderKind.NAMESPACE, name)
            model.mapped += [(holder, entity, held) for entity, (held,) in mappings.items()]
        else:
            model.mapped.append((Holder(HolderKind.NAMESPACE, other), f"{name}/*", role))
    shares: dict[tuple[Holder, str], str] = {}
    for _ in range(4):
        name, environment = chance.choice(NAMES), chance.choice(("e", "f", None))
        kind = chance.choice(list(HolderKind))
        holder = Holder(kind, chance.choice(NAMES) if kind is HolderKind.NAMESPACE else chance.choice(("x", "y")))
        role = chance.choice(ROLES)
        sharing.share(context, SYSTEM, Target(name, environment), holder, role)
        shares[holder, f"{name}/{environment or '*'}"] = role
    model.shared = [(holder, entity, role) for (holder, entity), role in shares.items()]
    return model


@pytest.mark.parametrize("seed", range(12))
def test_what_is_given_permits_what_it_says_and_lists_agree(filled: Context, seed: int) -> None:
    chance = random.Random(seed)
    version = 1 + seed % 2
    context = replace(filled, deployment=replace(filled.deployment, role_mappings_version=version))
    model = given(context, chance, version)
    for name, groups, home in (("x", ("y",), "a"), ("y", (), "ab"), ("z", ("x", "y"), "axb"), ("a", (), "b")):
        own = tuple(parse_binding(entity, chance.choice(ROLES)) for entity in chance.sample(ENTITIES, 1))
        plain = Actor(name, home, own, is_authenticated=True, groups=groups)
        actor = with_given_roles(context, plain)
        for target in (*map(Target, NAMES), *(Target(first, second) for first in NAMES for second in ("e", "f"))):
            assert actor.permissions(target) == model.permissions(plain, target), f"{actor.name} on {target}"
        page = list_environments(context, actor, EnvironmentFilter(), EVERYTHING)
        assert {(row.namespace.name, row.name) for row in page.rows} == {
            (first, second)
            for first in NAMES
            for second in ("e", "f")
            if actor.may(Permission.ENVIRONMENT_READ, Target(first, second))
        }
        seen = {row.name for row in list_namespaces(context, actor, EVERYTHING).rows}
        assert seen == {name for name in NAMES if actor.sees(Target(name))}
        nobody = Actor(name, home, own, groups=groups)
        assert with_given_roles(context, nobody) is nobody


def test_nothing_is_left_of_a_namespace(filled: Context) -> None:
    holder = Holder(HolderKind.NAMESPACE, "b")
    update_namespace(filled, SYSTEM, "a", None, {"b/*": ["viewer"], "b*/*": ["viewer"]})
    update_namespace(filled, SYSTEM, "b", None, {"a/*": ["admin"]})
    give_role(filled, SYSTEM, "a", "b", "viewer")
    give_role(filled, SYSTEM, "b", "a", "viewer")
    sharing.share(filled, SYSTEM, Target("a", "e"), holder, "viewer")
    sharing.share(filled, SYSTEM, Target("b", "e"), Holder(HolderKind.USER, "x"), "viewer")
    delete_namespace(filled, SYSTEM, "b")
    with filled.database.read() as connection:
        left = [row.entity for name in NAMES for row in roles.concerning(connection, name) if name == "a"]
        held = roles.held_by(connection, [holder, Holder(HolderKind.USER, "x")], list(Way))
    # a pattern names no namespace in particular
    assert left == ["b*/*"]
    assert held == []


def test_a_role_that_is_configured_no_longer_gives_nothing(filled: Context) -> None:
    sharing.share(filled, SYSTEM, Target("a"), Holder(HolderKind.USER, "x"), "viewer")
    fewer = type(filled.deployment.roles)({"admin": Role.ADMIN})
    context = replace(filled, deployment=replace(filled.deployment, roles=fewer))
    assert with_given_roles(context, Actor("x", "x", is_authenticated=True)).bindings == ()
