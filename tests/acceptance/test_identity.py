"""Logging in with a real JupyterHub and a real OpenID provider, and the command line that uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance import person
from tests.acceptance.service import PROGRAM, Service
from tests.needed import missing
from tests.ports import Port
from tests.waiting import PATIENCE, wait_for

IDENTITY = Path(__file__).parents[2] / ".cache" / "identity"
BIN = IDENTITY / "venv" / "bin"
HUB_TOKEN = "0123456789abcdef" * 4
SERVER = """
from conda_store.auth.providers.oauth import JupyterHubOAuthAuthentication
from conda_store.auth.providers.openid import OpenIDConnectAuthentication

c.RBACAuthorizationBackend.group_role_bindings = {{"data": {{"data-*/*": ["developer"]}}}}
c.RBACAuthorizationBackend.admin_groups = {{"it"}}
{}
"""
HUB = """
c.JupyterHub.bind_url = "http://localhost:{port}/"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub}/"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy}"
c.ConfigurableHTTPProxy.command = ["{command}"]
c.ConfigurableHTTPProxy.auth_token = "{token}"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "wonderland"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.load_groups = {{"data": {{"users": ["alice"]}}}}
c.JupyterHub.services = [
    {{
        "name": "conda-store",
        "api_token": "{token}",
        "oauth_client_id": "service-conda-store",
        "oauth_redirect_uri": "http://localhost:{own}/oauth_callback/",
        "oauth_no_confirm": True,
    }}
]
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", "access:services!service=conda-store"]}},
]
"""


@pytest.fixture(scope="module")
def free_port() -> Iterator[Callable[[], int]]:
    """Each call gives a port that nobody else gets."""
    with ExitStack() as held:
        yield lambda: held.enter_context(Port())


@contextmanager
def running(command: list[str], directory: Path, url: str) -> Iterator[None]:
    """A program in the background, until it answers at `url` and as long as it is needed."""
    if not (IDENTITY / ".ready").exists():
        missing("a JupyterHub and an OpenID provider")
    directory.mkdir(parents=True, exist_ok=True)
    path = f"{IDENTITY / 'node_modules' / '.bin'}:{BIN}:{os.environ['PATH']}"
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=directory, stdout=log, stderr=log, env=os.environ | {"PATH": path}, start_new_session=True
        )
    try:

        def answers() -> bool:
            assert process.poll() is None, (directory / "log").read_text()
            try:
                # a proxy that has no route yet says 404
                return httpx.get(url, timeout=PATIENCE).status_code == httpx.codes.OK
            except httpx.HTTPError:
                return False

        wait_for(f"{command[0]} answers", answers)
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)


@contextmanager
def serving(directory: Path, port: int, *lines: str) -> Iterator[Service]:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "conda_store_config.py"
    file.write_text(SERVER.format("\n".join(lines)))
    service = Service(directory, f"--config={file}", "--no-worker")
    try:
        service.start(f"--port={port}")
        yield service
    finally:
        service.close()


@contextmanager
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=True, timeout=PATIENCE) as client:
        yield client


def at(service: Service, path: str) -> str:
    return f"{str(service.http.base_url).rstrip('/')}{path}"


def who(client: httpx.Client, service: Service, **headers: str) -> Any:
    return client.get(at(service, "/api/v1/user/"), headers=headers).json()["data"]


# --- JupyterHub -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[tuple[Service, str, Path]]:
    """A conda-store that is a service of a hub; the hub's address and configuration."""
    directory = tmp_path_factory.mktemp("hub")
    ports = {name: free_port() for name in ("port", "hub", "proxy", "own")}
    command = str(IDENTITY / "node_modules" / ".bin" / "configurable-http-proxy")
    file = directory / "jupyterhub_config.py"
    file.write_text(HUB.format(command=command, token=HUB_TOKEN, **ports))
    url = f"http://localhost:{ports['port']}"
    lines = (
        "c.CondaStoreServer.authentication_class = JupyterHubOAuthAuthentication",
        f"c.JupyterHubOAuthAuthentication.jupyterhub_url = {url!r}",
        "c.GenericOAuthAuthentication.client_id = 'service-conda-store'",
        f"c.GenericOAuthAuthentication.client_secret = {HUB_TOKEN!r}",
    )
    with (
        running([str(BIN / "python"), "-m", "jupyterhub", "-f", str(file)], directory / "run", f"{url}/hub/api/"),
        serving(directory / "s", ports["own"], *lines) as service,
    ):
        yield service, url, file


def test_who_works_in_a_hub_logs_in_there(hub: tuple[Service, str, Path]) -> None:
    service, _, _ = hub
    with browser() as client:
        page = person.visit(client, at(service, "/login/?next=/user/"))
        assert page.url.path == "/user/", page.text
        found = who(client, service)
        assert (found["name"], found["groups"]) == ("alice", ["data"])
        roles = client.get(at(service, "/api/v1/permission/")).json()["data"]["entity_roles"]
        assert roles["data-*/*"] == roles["alice/*"] == ["developer"]
        assert "*/*" not in roles


def test_a_token_of_the_hub_is_known(hub: tuple[Service, str, Path]) -> None:
    service, _, file = hub
    made = subprocess.run(
        [str(BIN / "python"), "-m", "jupyterhub", "token", "alice", "-f", str(file)],
        cwd=file.parent / "run", capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    token = made.stdout.split()[-1]
    with browser() as client:
        found = who(client, service, Authorization=f"Bearer {token}")
        assert (found["name"], found["authenticated"], found["groups"]) == ("alice", True, ["data"])
        for wrong in ("nonsense", HUB_TOKEN):  # the second is that of a service, which is no user
            assert who(client, service, Authorization=f"Bearer {wrong}")["authenticated"] is False
    environment = service.environment | {"CONDA_STORE_AUTH": "token", "CONDA_STORE_TOKEN": token}
    command = [PROGRAM, "--conda-store-url", at(service, ""), "token", "create", "--name", "notebook"]
    ours = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True)
    with browser() as client:
        assert who(client, service, Authorization=f"Bearer {ours.stdout.strip()}")["name"] == "alice"


# --- OpenID Connect -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def openid(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("oidc")
    port, own = free_port(), free_port()
    claims = {"sub": "alice", "preferred_username": "alice", "groups": ["data", "it"]}
    command = [
        str(BIN / "python"),
        "-m",
        "oidc_provider_mock",
        "--port",
        str(port),
        "--user-claims",
        json.dumps(claims),
    ]
    url = f"http://localhost:{port}"
    lines = (
        "c.CondaStoreServer.authentication_class = OpenIDConnectAuthentication",
        f"c.OpenIDConnectAuthentication.issuer = {url!r}",
        "c.OpenIDConnectAuthentication.client_id = 'conda-store'",
        "c.OpenIDConnectAuthentication.client_secret = 'secret'",
    )
    with (
        running(command, directory / "run", f"{url}/.well-known/openid-configuration"),
        serving(directory / "s", own, *lines) as service,
    ):
        yield service


def test_openid_connect(openid: Service) -> None:
    with browser() as client:
        page = person.visit(client, at(openid, "/login/?next=/user/"))
        assert page.url.path == "/user/", page.text
        assert who(client, openid)["groups"] == ["data", "it"]
        callback = next(answer.url for answer in page.history if answer.url.path == "/oauth_callback/")
        assert client.get(callback).status_code == 401, "the state was used"
        copied = client.cookies["conda-store-auth"]
        client.post(at(openid, "/logout/"))
        assert who(client, openid)["authenticated"] is False
    with browser() as client:
        assert who(client, openid, Authorization=f"Bearer {copied}")["authenticated"] is False


def test_a_code_and_state_of_another_browser_are_refused(openid: Service) -> None:
    with browser() as victim, httpx.Client(timeout=PATIENCE) as attacker:
        begun = attacker.get(at(openid, "/login/")).headers["location"]
        back = attacker.post(begun, data={"sub": "mallory"}).headers["location"]
        assert victim.get(back).status_code == 401
        assert who(victim, openid)["authenticated"] is False
        wrong = httpx.URL(back).copy_set_param("state", "wrong")
        assert attacker.get(wrong).status_code == 401
        forged = httpx.URL(back).copy_set_param("code", "forged")
        assert attacker.get(forged).status_code == 403


def test_the_command_line_logs_in_through_the_browser_and_out_again(openid: Service, tmp_path: Path) -> None:
    script = Path(person.__file__)
    environment = openid.environment | {
        "BROWSER": f"{sys.executable} {script} %s",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "CONDA_STORE_URL": at(openid, ""),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )

    assert run("whoami").returncode == 1
    login = run("login")
    assert login.returncode == 0, login.stderr
    assert "Logged in as alice" in login.stderr
    assert run("whoami").stdout == "alice, of data, it\n"
    assert "conda-store on " in run("token", "list").stdout
    kept = (tmp_path / "config" / "conda-store" / "credentials.json").read_text()
    token = json.loads(kept)[at(openid, "")]["token"]
    with browser() as client:
        assert who(client, openid, Authorization=f"Bearer {token}")["name"] == "alice"
        assert run("logout").returncode == 0
        assert who(client, openid, Authorization=f"Bearer {token}")["authenticated"] is False
    assert run("whoami").returncode == 1
    assert token not in openid.log_text()
