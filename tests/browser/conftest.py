from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from tests.acceptance.harness import tiny_channel
from tests.acceptance.service import Service as Process
from tests.browser.chromium import PROGRAM, launched
from tests.browser.seeded import seed
from tests.conftest import missing
from tests.http.longest import DEPLOYMENT, crowd
from tests.http.service import Service
from tests.waiting import PATIENCE
from tools.channel.serve import ChannelServer
from tools.channel.tiny import write_package

# for builds, too: where things go well nobody waits for so long
MILLISECONDS = 1000 * PATIENCE
expect.set_options(timeout=MILLISECONDS)

NewPage = Callable[..., Page]


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, dict[str, int]]]:
    """A service with environments in all states, and the ids of some builds. Set up before the browser is."""
    with Service(tmp_path_factory.mktemp("s")) as service:
        yield service, seed(service)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the longest values that are legal. Set up before the browser is."""
    with Service(tmp_path_factory.mktemp("s"), DEPLOYMENT) as service:
        crowd(service)
        yield service


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChannelServer]:
    """A channel of tiny packages: `one`, `two` (needs one), `three`, `slow`, `slower` and `damaged`."""
    directory: Path = tmp_path_factory.mktemp("c")
    for name in ("slow", "slower", "damaged"):
        write_package(directory, name, "1.0", files={f"share/{name}.txt": name})
    with ChannelServer(tiny_channel(directory)) as server:
        yield server


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, channel: ChannelServer) -> Iterator[Process]:
    """`conda-store serve` with a worker, on the channel."""
    service = Process(tmp_path_factory.mktemp("r"), conda_default_channels=[channel.url])
    service.start()
    yield service
    service.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if shutil.which(PROGRAM) is None:
        missing(PROGRAM)
    with launched() as browser:
        yield browser


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[NewPage]:
    """Makes pages in contexts of their own; fails the test where one asked another host or reported an error."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def make(base_url: str, **options: Any) -> Page:
        context = chromium.new_context(base_url=base_url, **options)
        contexts.append(context)
        context.set_default_timeout(MILLISECONDS)
        page = context.new_page()

        def asked(request: Request) -> None:
            if not request.url.startswith((base_url.rstrip("/") + "/", "data:")):
                wrong.append(f"asked for {request.url}")

        page.on("request", asked)
        page.on("pageerror", lambda error: wrong.append(f"script error: {error}"))
        page.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
        return page

    yield make
    for context in contexts:
        context.close()
    assert wrong == []
