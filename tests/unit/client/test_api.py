"""What programs written for CondaStoreAPI rely on, over a real loopback connection."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from conda_store.api import CondaStoreAPI
from conda_store.errors import CondaStoreError, ConfigurationError
from tests.serving import serving

ANSWERS = {
    ("GET", "/p/api/v1/permission/"): {"authenticated": True, "primary_namespace": "d", "entity_permissions": {}},
    ("POST", "/p/api/v1/token/"): {"token": "T"},
    ("POST", "/p/api/v1/specification/"): {"build_id": 3},
    ("GET", "/p/api/v1/build/3/"): {"id": 3, "environment_id": 1, "status": "COMPLETED"},
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path.endswith("/lockfile/"):
            self._send(b"{}")
        elif path == "/p/api/v1/environment/":
            row = {"id": 1, "name": query, "namespace": {"id": 1, "name": self.headers.get("authorization") or ""}}
            self._send(json.dumps({"data": [row], "count": 1}).encode())
        else:
            data = ANSWERS.get((self.command, path))
            self._send(json.dumps({"data": data, "message": "no such thing"}).encode(), 200 if data else 404)

    do_POST = do_GET  # noqa: N815

    def _send(self, body: bytes, status: int = 200) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}/p/"


def test_it_works_as_a_spawner_uses_it(url: str) -> None:
    async def use() -> None:
        async with CondaStoreAPI(url, auth_type="none", verify_ssl=True) as api:
            assert (await api.get_permissions())["primary_namespace"] == "d"
            assert await api.create_token("ns", {"ns/*": ["viewer"]}, 60) == "T"
            assert await api.create_environment("ns", "name: x") == 3
            assert (await api.get_build(3))["status"] == "COMPLETED"
            assert await api.download(3, "lockfile") == b"{}"
            rows = await api.list_environments(status="COMPLETED", artifact="CONDA_PACK", packages=["ipykernel"])
            assert rows[0]["name"].startswith("status=COMPLETED&artifact=CONDA_PACK&packages=ipykernel")

    asyncio.run(use())


def test_auth_is_another_word_for_auth_type(url: str) -> None:
    async def use() -> str:
        async with CondaStoreAPI(url, auth="token", api_token="t1") as api:
            return str((await api.list_environments())[0]["namespace"]["name"])

    assert asyncio.run(use()) == "Bearer t1"


def test_refusals_are_errors_with_the_servers_message(url: str) -> None:
    async def use() -> None:
        async with CondaStoreAPI(url) as api:
            await api.get_build(4)

    with pytest.raises(CondaStoreError, match="no such thing"):
        asyncio.run(use())


def test_an_unknown_kind_of_login_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'kerberos'"):
        CondaStoreAPI("http://localhost", auth_type="kerberos")


def test_the_methods_that_programs_call_are_coroutines() -> None:
    expected = {
        "get_permissions": [],
        "create_token": ["primary_namespace", "role_bindings", "expiration"],
        "list_namespaces": [],
        "create_namespace": ["namespace"],
        "delete_namespace": ["namespace"],
        "list_environments": ["status", "artifact", "packages"],
        "create_environment": ["namespace", "specification"],
        "get_environment": ["namespace", "name"],
        "delete_environment": ["namespace", "name"],
        "solve_environment": ["channels", "conda", "pip"],
        "list_builds": ["status", "artifact", "packages"],
        "get_build": ["build_id"],
        "download": ["build_id", "artifact"],
    }
    for name, parameters in expected.items():
        method = getattr(CondaStoreAPI, name)
        assert inspect.iscoroutinefunction(method)
        assert list(inspect.signature(method).parameters)[1:] == parameters
