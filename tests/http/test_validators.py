"""The operator's own checks of specifications and actions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conda_store.db import specifications
from conda_store.domain.access import SYSTEM
from conda_store.errors import CondaStoreError, InvalidSpecification, NotFound, PolicyViolation
from conda_store.services.builds import find_build, rebuild
from conda_store.services.context import Context
from conda_store.services.specifications import Submission, submit
from conda_store.services.validating import Validators
from conda_store_server.exception import CondaStoreError as ErrorOfEarlierFiles
from tests.queueing import opened

YAML = b"name: one\nchannels: [forge]\ndependencies: [zlib]"


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    context = opened(f"sqlite:///{tmp_path}/conda-store.sqlite", tmp_path)
    yield context
    context.database.close()


def hand_in(context: Context, **checks: Any) -> int:
    return submit(replace(context, validators=Validators(**checks)), SYSTEM, Submission(YAML, "team"))


def stored(context: Context, build_id: int) -> Any:
    build = find_build(context, SYSTEM, build_id)
    with context.database.read() as connection:
        return specifications.get(connection, build.specification_id).spec


def test_a_specification_is_changed_in_place_or_returned(context: Context) -> None:
    def add(namespace: str, specification: Any) -> Any:
        specification.dependencies.append(f"{namespace}-tools")
        return specification

    def change(namespace: str, specification: Any) -> None:
        specification.channels = ["ours"]

    def other(namespace: str, specification: Any) -> Any:
        return {"name": specification.name, "dependencies": ["numpy"]}

    assert stored(context, hand_in(context, specification=add))["dependencies"] == ["zlib", "team-tools"]
    assert stored(context, hand_in(context, specification=change))["channels"] == ["ours"]
    assert stored(context, hand_in(context, specification=other))["dependencies"] == ["numpy"]


def raising(error: Exception) -> Any:
    def check(**_: Any) -> None:
        raise error

    return check


@pytest.mark.parametrize("which", ["specification", "action"])
def test_what_a_check_raises_is_the_refusal(context: Context, which: str) -> None:
    with pytest.raises(PolicyViolation, match="not on Fridays"):
        hand_in(context, **{which: raising(ValueError("not on Fridays"))})
    with pytest.raises(PolicyViolation) as refused:
        hand_in(context, **{which: raising(ErrorOfEarlierFiles("ask before you build"))})
    assert refused.value.message == "ask before you build"
    with pytest.raises(NotFound, match="gone"):
        hand_in(context, **{which: raising(NotFound("gone"))})
    # a check that is broken lets nothing pass, and tells nothing of itself
    with pytest.raises(CondaStoreError) as caught:
        hand_in(context, **{which: raising(KeyError("inside"))})
    assert "inside" not in str(caught.value)


def test_what_a_check_leaves_must_be_a_specification(context: Context) -> None:
    with pytest.raises(InvalidSpecification):
        hand_in(context, specification=lambda namespace, specification: {"name": 1})


def test_actions_are_named_by_their_permission(context: Context) -> None:
    seen: list[tuple[str, str]] = []
    checks = Validators(action=lambda namespace, action: seen.append((namespace, action)))
    context = replace(context, validators=checks)
    build_id = submit(context, SYSTEM, Submission(YAML, "team"))
    rebuild(context, SYSTEM, build_id)
    assert seen == [("team", "environment:create"), ("team", "environment::update")]
