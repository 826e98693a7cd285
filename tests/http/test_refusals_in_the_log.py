"""The log says why somebody was refused, by all doors; the answer does not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog
from structlog.typing import EventDict

from tests.http.service import Service
from tests.waiting import wait_for


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    kept: list[EventDict] = []

    def keep(_logger: Any, _method: str, event: EventDict) -> EventDict:
        kept.append(event)
        raise structlog.DropEvent

    before = structlog.get_config()
    processors = [structlog.contextvars.merge_contextvars, keep]
    structlog.configure(processors=processors, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    yield kept
    structlog.configure(**before)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/api/v1/environment/team/one/", 403),
        ("GET", "/environment/team/one/delete/", 403),
        ("GET", "/api/v1/environment/elsewhere/one/", 404),
        ("GET", "/v2/elsewhere/one/tags/list", 403),
        ("PUT", "/api/v1/share/team/one/", 403),
    ],
)
def test_a_refusal_says_why(service: Service, lines: list[EventDict], method: str, path: str, status: int) -> None:
    service.build("team", "one", "zlib")
    del lines[:]
    body = {"kind": "user", "name": "ada", "role": "viewer"} if method == "PUT" else None
    with service.client("viewer") as client:
        answer: httpx.Response = client.request(method, path, json=body, headers={"X-Request-ID": "asked"})
    assert answer.status_code == status
    line = refusal(lines)
    assert (line["method"], line["path"], line["status"], line["request_id"]) == (method, path, status, "asked")
    assert line["reason"].startswith("team may not ")
    assert ("has no role there" if "elsewhere" in path else "has only viewer on team/* (token)") in line["reason"]
    assert "viewer" not in answer.text


def refusal(lines: list[EventDict]) -> EventDict:
    """The line is written when the answer has been sent: it may come a little later."""
    (found,) = wait_for(
        "the refusal in the log", lambda: [line for line in lines if line["event"] == "request refused"]
    )
    return found


def test_what_does_not_exist_is_no_refusal(service: Service, lines: list[EventDict]) -> None:
    with service.client("admin") as client:
        assert client.get("/api/v1/environment/team/none/").status_code == 404
    with service.client("viewer") as client:
        assert client.delete("/api/v1/namespace/team/").status_code == 403
    # the only one, though it came second
    assert refusal(lines)["path"] == "/api/v1/namespace/team/"


def test_the_answer_says_what_is_missing_and_not_what_there_is(service: Service) -> None:
    service.build("team", "one", "zlib")
    with service.client("viewer") as viewer:
        refused = viewer.delete("/api/v1/environment/team/one/").json()
        hidden, missing = (viewer.get(f"/api/v1/environment/{name}/").json() for name in ("elsewhere/one", "team/none"))
    assert refused["hint"] == (
        "It needs environment::delete on team/one, which you do not have: ask an admin for a role."
    )
    assert hidden == missing | {"hint": "There is no elsewhere/one, or you may not see it."}
    with service.client("") as anonymous:
        assert "hint" not in anonymous.post("/api/v1/namespace/new/").json()
