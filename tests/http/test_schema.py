"""The whole OpenAPI, asked at random as anonymous, viewer and admin: no 5xx, and no status that is not described."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance

from tests.http.service import Service
from tests.waiting import PATIENCE

EXAMPLES = 8
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose streams end and whose waits are short."""
    with Service(tmp_path_factory.mktemp("s"), heartbeat=0.1, packing_wait=0.2) as service:
        service.build("team", "one", "zlib")
        yield service


@pytest.mark.parametrize("role", [None, "viewer", "admin"])
def test_every_operation_answers_as_described(asked: Service, role: str | None) -> None:
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{asked.port}/openapi.json")
    headers = {"Authorization": f"Bearer {role}"} if role else {}
    problems: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith("/events/"):
            continue  # streams that last as long as a build

        @SETTINGS
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            answer = case.call(headers=headers, timeout=PATIENCE, allow_redirects=False)
            try:
                # 503 with Retry-After is an answer: what is asked for is being made
                is_later = answer.status_code == 503 and "retry-after" in answer.headers
                checks = [status_code_conformance, *([] if is_later else [not_a_server_error])]
                case.validate_response(answer, checks=checks)
            except (AssertionError, BaseExceptionGroup) as error:
                problems.append(f"{case.method} {case.formatted_path[:100]}: {answer.status_code} {str(error)[:200]}")

        ask()
    assert not problems, "\n".join(dict.fromkeys(problems))
