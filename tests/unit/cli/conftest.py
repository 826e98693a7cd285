"""A small server that answers like conda-store's, on loopback, and the command line run against it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from conda_store.cli.main import run_command


@dataclass
class Answer:
    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Route = Answer | Callable[[Request], Answer]


class Server:
    """`routes` maps `METHOD /path` to what is answered; everything else is 404."""

    def __init__(self, url: str, http: ThreadingHTTPServer) -> None:
        self.url = url
        self._http = http
        self.routes: dict[str, Route] = {}
        self.requests: list[Request] = []

    def stop(self) -> None:
        """From now on connections are refused."""
        self._http.shutdown()
        self._http.server_close()

    def reply(self, route: str, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.routes[route] = Answer(body, status, headers or {})

    def data(self, route: str, data: Any, message: str | None = None) -> None:
        self.routes[route] = Answer(json.dumps({"status": "ok", "data": data, "message": message}).encode())

    def page(self, route: str, rows: list[Any]) -> None:
        body = {"status": "ok", "data": rows, "message": None, "page": 1, "size": 100, "count": len(rows)}
        self.routes[route] = Answer(json.dumps(body).encode())

    def events(self, build_id: int, *events: tuple[str, Any]) -> None:
        text = "".join(f"event: {kind}\nid: {n}\ndata: {json.dumps(data)}\n\n" for n, (kind, data) in enumerate(events))
        self.routes[f"GET /api/v1/build/{build_id}/events/"] = Answer(text.encode())

    def build(self, build_id: int = 7, **changes: Any) -> None:
        self.data(f"GET /api/v1/build/{build_id}/", a_build(build_id, **changes))

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        route = self.routes.get(f"{request.method} {request.path}")
        if route is None:
            message = f"nothing at {request.method} {request.path}"
            return Answer(json.dumps({"status": "error", "data": None, "message": message}).encode(), 404)
        return route(request) if callable(route) else route


def a_build(build_id: int = 7, **changes: Any) -> dict[str, Any]:
    return {
        "id": build_id,
        "environment_id": 1,
        "specification": {"id": 1, "name": "env1", "spec": {}, "sha256": "ab", "created_on": "2026-11-21T03:27:27"},
        "packages": None,
        "status": "COMPLETED",
        "status_info": None,
        "size": 12345678,
        "scheduled_on": "2026-11-21T03:27:27.5",
        "started_on": "2026-11-21T03:28:00",
        "ended_on": "2026-11-21T03:27:30",
        "build_artifacts": [],
        **changes,
    }


def an_environment(name: str = "env1", **changes: Any) -> dict[str, Any]:
    namespace = {"id": 3, "name": "ns", "metadata_": {}, "role_mappings": []}
    return {
        "id": 1,
        "namespace": namespace,
        "name": name,
        "current_build_id": 7,
        "current_build": None,
        "description": "hello",
        **changes,
    }


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {key.lower(): value for key, value in self.headers.items()}
            answer = fake.answer(Request(self.command, parts.path, parse_qs(parts.query), headers, body))
            self.send_response(answer.status)
            for key, value in answer.headers.items():
                self.send_header(key, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the client may have left
                self.wfile.write(answer.body)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        fake = Server(f"http://127.0.0.1:{http.server_port}", http)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        fake.stop()
        thread.join(30)


@dataclass
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test: no remembered tokens, an empty cache, none of conda-store's variables."""
    for name in list(os.environ):
        if name.startswith("CONDA_STORE_"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture
def command(home: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs the command line in this process, against the server."""

    def run(*arguments: str, url: str | None = None) -> Outcome:
        capsys.readouterr()
        status = run_command(["--conda-store-url", url or server.url, *arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


@pytest.fixture
def process(home: Path, server: Server) -> Callable[..., subprocess.Popen[str]]:
    """Starts the command line as a process of its own, against the server."""

    def start(*arguments: str) -> subprocess.Popen[str]:
        program = "from conda_store.cli.main import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            env={**os.environ, "CONDA_STORE_URL": server.url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def an_archive(**files: str) -> bytes:
    """An environment that can be activated, whose `conda-unpack` notes its path."""
    contents = {
        "bin/activate": 'here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)\n'
        'export CONDA_PREFIX=$here PATH="$here/bin:$PATH"\n',
        "bin/conda-unpack": '#!/bin/sh\nhere=$(cd "$(dirname "$0")/.." && pwd)\nprintf %s "$here" > "$here/unpacked"\n',
        "bin/python": '#!/bin/sh\necho "python of $CONDA_PREFIX: $*"\n',
    } | files
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in contents.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text.encode()), 0o755
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def archive() -> Callable[..., bytes]:
    return an_archive


@pytest.fixture
def rows() -> tuple[Callable[..., dict[str, Any]], Callable[..., dict[str, Any]]]:
    """What makes the API's rows: (a build, an environment)."""
    return a_build, an_environment
