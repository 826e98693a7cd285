from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from tests.http.service import Service


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory: Path = tmp_path_factory.mktemp("s")
    with Service(directory) as service:
        yield service


@pytest.fixture
def admin(service: Service) -> Iterator[httpx.Client]:
    with service.client("admin") as client:
        yield client


@pytest.fixture
def anonymous(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture
def html(service: Service) -> Iterator[dict[str, httpx.Client]]:
    """Browsers that are logged in, by token; "" is nobody."""
    clients = {}
    for token in ("", "admin", "owner", "developer", "viewer", "stranger"):
        client = service.client()
        client.headers["Accept"] = "text/html"
        if token:
            assert client.get("/login/", params={"token": token}).status_code == 303
        clients[token] = client
    yield clients
    for client in clients.values():
        client.close()
