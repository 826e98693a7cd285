"""Requests on behalf of others: nothing but HTTP, and to the very address that was looked at."""

from __future__ import annotations

import socket
import threading
import urllib.error
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from conda_store.domain.addresses import AddressPolicy
from conda_store.domain.requests import guarded_opener
from conda_store.errors import InvalidInput

ONLY_LOCALHOST = AddressPolicy(("localhost",))


class Looked(AddressPolicy):
    """Knows a name that nobody else does, and how often it was asked for it."""

    lookups = 0

    def resolve(self, host: str, port: int) -> tuple[str, ...]:
        assert host == "provider.test"
        type(self).lookups += 1
        return ("127.0.0.1",)


class Redirecting(HTTPServer):
    location = ""
    hosts: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: Redirecting

    def do_GET(self) -> None:
        self.server.hosts.append(self.headers["Host"])
        self.send_response(302 if self.server.location else 200)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Redirecting]:
    with Redirecting(("127.0.0.1", 0), _Handler) as server:
        server.hosts = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join(30)


def test_it_connects_to_what_was_looked_up_once(server: Redirecting) -> None:
    """A name that stands for another address a moment later (DNS rebinding) gains nothing."""
    Looked.lookups = 0
    with guarded_opener(Looked(())).open(f"http://provider.test:{server.server_port}/", timeout=10) as answer:
        assert answer.status == 200
    assert Looked.lookups == 1
    assert server.hosts == [f"provider.test:{server.server_port}"]


def test_a_redirect_to_another_protocol_is_not_followed(server: Redirecting) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.setblocking(False)
        server.location = f"ftp://127.0.0.1:{inside.getsockname()[1]}/x"
        with pytest.raises(urllib.error.URLError, match="unknown url type: ftp"):
            guarded_opener(ONLY_LOCALHOST).open(f"http://localhost:{server.server_port}/", timeout=10)
        with pytest.raises(BlockingIOError):
            inside.accept()


def test_a_redirect_inside_is_refused(server: Redirecting) -> None:
    server.location = f"http://127.0.0.1:{server.server_port}/"
    with pytest.raises(InvalidInput, match=r"127\.0\.0\.1 lies inside"):
        guarded_opener(ONLY_LOCALHOST).open(f"http://localhost:{server.server_port}/", timeout=10)
    assert server.hosts == [f"localhost:{server.server_port}"]


def test_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    for url in (f"file://{tmp_path}/secret", "data:,x", "ftp://127.0.0.1/"):
        with pytest.raises(urllib.error.URLError, match="unknown url type"):
            guarded_opener(AddressPolicy()).open(url, timeout=10)
