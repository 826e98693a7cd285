"""rattler and uv ask by themselves: what they connect to, and are sent on to, is checked by the proxy they use."""

from __future__ import annotations

import base64
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conda_store.builder.forwarding import Forwarder, forwarder
from conda_store.builder.package_index import IndexOptions, PackageIndex
from conda_store.builder.ports import InstallRequest
from conda_store.domain.addresses import AddressPolicy
from conda_store.errors import AddressRefused, ChannelUnavailable
from tests.recording import Recorder
from tests.serving import serving
from tests.unit.builder.conftest import Bench, run
from tools.channel.serve import ChannelServer

# the server is named localhost where it may be asked, and 127.0.0.1 where it may not
NAMED = AddressPolicy(("localhost",))


def localhost(url: str) -> str:
    return url.replace("127.0.0.1", "localhost")


@contextmanager
def two_faced(target: str) -> Iterator[str]:
    """A server that says yes to HEAD, so that no look beforehand finds anything, and sends on whoever asks with GET."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(200)

        def do_GET(self) -> None:
            self._answer(302)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Location", target + self.path)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as port:
        yield f"http://localhost:{port}"


def test_without_a_policy_there_is_none() -> None:
    assert forwarder(AddressPolicy()) is None


def test_a_solve_is_not_sent_on_to_a_neighbour(served: tuple[Path, ChannelServer], tmp_path: Path) -> None:
    _, server = served
    with two_faced(server.url) as url:
        with pytest.raises(AddressRefused, match=r"127\.0\.0\.1 lies inside"):
            Bench(tmp_path / "closed", url, addresses=NAMED).solve("tool")
        assert server.requests == []


def test_what_is_permitted_is_solved_and_installed(served: tuple[Path, ChannelServer], tmp_path: Path) -> None:
    _, server = served
    bench = Bench(tmp_path / "cache", localhost(server.url), addresses=NAMED)
    lock = bench.solve("tool").platforms[0]
    request = InstallRequest(lock, tmp_path / "staging", tmp_path / "prefix")
    run(bench.builder.install(request, Recorder()))
    assert (tmp_path / "prefix" / "conda-meta" / "tool-1.0-0.json").exists()


def test_an_installation_is_not_sent_on_to_a_neighbour(served: tuple[Path, ChannelServer], tmp_path: Path) -> None:
    _, server = served
    with two_faced(server.url) as url:
        bench = Bench(tmp_path / "cache", url)
        lock = bench.solve("tool").platforms[0]
        assert lock.conda[0].url.startswith(url)
        asked = len(server.requests)
        closed = Bench(tmp_path / "closed", url, addresses=NAMED)
        request = InstallRequest(lock, tmp_path / "staging", tmp_path / "prefix")
        with pytest.raises(AddressRefused, match=r"127\.0\.0\.1 lies inside"):
            run(closed.builder.install(request, Recorder()))
        assert len(server.requests) == asked
        assert not (tmp_path / "prefix").exists()


def test_uv_is_not_sent_on_to_a_neighbour(channels: Path, served: tuple[Path, ChannelServer], tmp_path: Path) -> None:
    _, server = served
    with two_faced(server.url) as url:
        closed = Bench(tmp_path / "closed", channels.as_uri(), addresses=AddressPolicy(("localhost", str(channels))))
        with pytest.raises(AddressRefused, match=r"127\.0\.0\.1 lies inside"):
            closed.solve("python=3.11", pip=[f"--index-url {url}/simple", "tool"])
        assert server.requests == []


def test_uv_finds_what_is_permitted(channels: Path, wheels: Path, tmp_path: Path) -> None:
    with ChannelServer(wheels) as server:
        url = localhost(server.url)
        bench = Bench(tmp_path / "cache", channels.as_uri(), addresses=AddressPolicy(("localhost", str(channels))))
        packages = bench.solve("python=3.11", pip=[f"beta @ {url}/beta-1.1-py3-none-any.whl"])
        assert server.requests
    assert packages.platforms[0].pypi


def test_the_index_is_not_sent_on_to_a_neighbour(served: tuple[Path, ChannelServer], tmp_path: Path) -> None:
    _, server = served
    index = PackageIndex(tmp_path / "index", options=IndexOptions(addresses=NAMED, retries=0))
    with closing(index), two_faced(f"{server.url}/main") as url:
        with pytest.raises(ChannelUnavailable, match=r"127\.0\.0\.1 lies inside"):
            run(index.refresh([url], []))
        with pytest.raises(ChannelUnavailable, match=r"127\.0\.0\.1 lies inside"):
            run(index.refresh([f"{server.url}/main"], []))
        assert server.requests == []
        assert [found.records for found in run(index.refresh([f"{localhost(server.url)}/main"], []))] == [1]


class Echo:
    """Sends back what it gets, over TCP alone: a tunnel does not care."""

    def __enter__(self) -> int:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return int(self.listener.getsockname()[1])

    def _run(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            while data := connection.recv(1 << 16):
                connection.sendall(data)

    def __exit__(self, *_: object) -> None:
        self.listener.close()
        self.thread.join(5)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def tunnel(url: str, host: str, port: int, password: str | None = None) -> http.client.HTTPConnection:
    proxy = urlsplit(url)
    name = b64(f"{proxy.username}:{password or proxy.password}")
    connection = http.client.HTTPConnection(proxy.hostname or "", proxy.port, timeout=20)
    connection.set_tunnel(host, port, {"Proxy-Authorization": f"Basic {name}"})
    return connection


def test_a_tunnel_carries_everything_both_ways() -> None:
    sent = bytes(range(256)) * 8000
    with Echo() as port, closing(tunnel(Forwarder(NAMED).url, "localhost", port)) as connection:
        connection.connect()
        writer = threading.Thread(target=connection.sock.sendall, args=(sent,), daemon=True)
        writer.start()
        received = b""
        while len(received) < len(sent):
            received += connection.sock.recv(1 << 16)
        writer.join(20)
        assert received == sent
        connection.sock.shutdown(socket.SHUT_WR)
        assert connection.sock.recv(1) == b""


@pytest.mark.parametrize(
    ("host", "password", "status"),
    [("127.0.0.1", None, "421"), ("localhost", "guessed", "407"), ("no.invalid", None, "502")],
)
def test_a_tunnel_is_refused(host: str, password: str | None, status: str) -> None:
    with closing(tunnel(Forwarder(NAMED).url, host, 9, password)) as connection, pytest.raises(OSError, match=status):
        connection.connect()


class OperatorsProxy(BaseHTTPRequestHandler):
    """Answers everything itself, with the password that it was shown."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._shown(200)

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.rfile.readline()
        self.wfile.write((self.headers["Proxy-Authorization"] + " for " + self.path).encode())
        self.close_connection = True

    def _shown(self, status: int) -> None:
        text = f"{self.headers['Proxy-Authorization']} for {self.path}".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def test_the_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain and in a tunnel, with its password; except for what it is not for, which the policy holds for again."""
    ours = Forwarder(AddressPolicy(()))
    proxy = urlsplit(ours.url)
    known = {"Proxy-Authorization": f"Basic {b64(f'{proxy.username}:{proxy.password}')}"}
    shown = f"Basic {b64('operator:theirs')} for "
    with (
        serving(OperatorsProxy) as port,
        closing(http.client.HTTPConnection(proxy.hostname or "", proxy.port, timeout=20)) as plain,
        closing(tunnel(ours.url, "inner.example", 443)) as secure,
    ):
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://operator:theirs@127.0.0.1:{port}")
        for headers, expected in ((known, shown), ({}, "None for ")):
            plain.request("GET", "http://inner.example/a?b", headers=headers)
            answer = plain.getresponse()
            assert (answer.status, answer.read().decode()) == (200, f"{expected}http://inner.example/a?b")
        secure.connect()
        secure.sock.sendall(b"hello\n")
        assert secure.sock.recv(1000).decode() == f"{shown}inner.example:443"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        plain.request("GET", f"http://127.0.0.1:{port}/", headers=known)
        assert plain.getresponse().status == 421
