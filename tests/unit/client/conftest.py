"""A session over a handler instead of a network; pauses are noted, not slept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest

from conda_store.client.login import Anonymous, Login
from conda_store.client.session import Session
from conda_store.client.transport import Transport

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Conversation:
    session: Session
    requests: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    @property
    def transport(self) -> Transport:
        return self.session.transport


@pytest.fixture
def converse() -> Callable[..., Conversation]:
    def begin(handler: Handler, *, url: str = "http://server.test/prefix", login: Login | None = None) -> Conversation:
        requests: list[httpx.Request] = []
        pauses: list[float] = []

        def record(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            return handler(request)

        transport = Transport(url, login or Anonymous(), sleep=pauses.append, transport=httpx.MockTransport(record))
        return Conversation(Session(transport), requests, pauses)

    return begin
