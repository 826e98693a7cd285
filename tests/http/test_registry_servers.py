"""Several servers over one database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from conda_store.builder.fake import FakeBuilder
from conda_store.builder.ports import Problem
from conda_store.domain.access import SYSTEM
from conda_store.domain.build import BuildOrigin
from conda_store.domain.on_demand import NAMESPACE
from conda_store.domain.specification import Specification
from conda_store.services.on_demand import request_build
from conda_store.services.specifications import submit_read
from tests.http.service import Service


class Meanwhile(FakeBuilder):
    """Does something the third time that a specification is checked: it is so when it is read, when it is compared with
    what there is, and right before it is queued."""

    def __init__(self, act: Callable[[Specification], None]) -> None:
        super().__init__()
        self._act = act
        self._checked = 0

    def problems(self, specification: Specification) -> tuple[Problem, ...]:
        self._checked += 1
        if self._checked == 3:
            self._act(specification)
        return super().problems(specification)


def test_what_two_servers_are_asked_for_at_once_is_built_once(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        queued: list[int] = []

        def other(specification: Specification) -> None:
            queued.append(submit_read(service.context, SYSTEM, NAMESPACE, specification, origin=BuildOrigin.ON_DEMAND))

        context = replace(service.context, builder=Meanwhile(other))
        assert request_build(context, SYSTEM, f"{NAMESPACE}/one/two") == 1
        assert queued == service.build_ids() == [1]
