from __future__ import annotations

import inspect

import pytest

from conda_store import errors
from conda_store.errors import CondaStoreError
from conda_store.server.errors import STATUSES, rendered

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CondaStoreError)]


def test_every_class_is_mapped() -> None:
    assert set(STATUSES) == set(CLASSES)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_is_rendered_in_the_envelope(kind: type[CondaStoreError]) -> None:
    answer = rendered(kind("no such thing", hint="look elsewhere"))
    assert answer.body == b'{"status":"error","message":"no such thing","hint":"look elsewhere"}'
    assert ("retry-after" in answer.headers) == (answer.status_code in {429, 503})


def test_without_a_hint_there_is_no_key() -> None:
    assert rendered(errors.NotFound("gone")).body == b'{"status":"error","message":"gone"}'
