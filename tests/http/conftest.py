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
