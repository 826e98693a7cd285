import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import click
import pytest

import conda_store
from conda_store.cli.main import COMMANDS, explained, run_command
from conda_store.client.credentials import credentials_path, remember
from conda_store.errors import CondaStoreError

PERMISSIONS = {
    "authenticated": True,
    "primary_namespace": "default",
    "entity_permissions": {"default/*": ["environment::read", "namespace::read"], "*/*": []},
    "entity_roles": {},
    "expiration": None,
}


def test_the_version(command: Callable) -> None:
    assert command("--version").out == f"conda-store, version {conda_store.__version__}\n"


def test_help_names_every_command_without_importing_any() -> None:
    program = (
        "import sys; from conda_store.cli.main import run_command; status = run_command(['--help']);"
        "heavy = {'httpx', 'rich', 'yaml', 'sqlalchemy', 'rattler', 'fastapi', 'traitlets'} & set(sys.modules);"
        "sys.exit(status or ', '.join(heavy) or 0)"
    )
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 0, outcome.stderr
    for name in COMMANDS:
        assert f"\n  {name} " in outcome.stdout


def test_commands_are_light_to_import() -> None:
    modules = sorted({lazy.module for lazy in COMMANDS.values()} - {"conda_store.cli.serve"})
    program = (
        f"import sys, importlib; [importlib.import_module(name) for name in {modules!r}];"
        "heavy = {'httpx', 'rich', 'yaml', 'sqlalchemy', 'rattler', 'fastapi', 'traitlets'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize("name", [name for name, lazy in COMMANDS.items() if lazy.module != "conda_store.cli.serve"])
def test_the_list_of_commands_says_what_each_command_says(name: str) -> None:
    lazy = COMMANDS[name]
    found = getattr(import_module(lazy.module), lazy.name)
    assert isinstance(found, click.Command)
    assert found.name == name


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([]) == 2
    assert "Usage: conda-store" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nonsense"], ["wait"], ["list", "build", "--status", "DONE"], ["--auth", "x"]])
def test_wrong_use_is_status_2(command: Callable, arguments: list[str]) -> None:
    outcome = command(*arguments)
    assert outcome.status == 2
    assert "Usage:" in outcome.err


def test_nobody_there_is_a_sentence(command: Callable) -> None:
    outcome = command("info", url="http://127.0.0.1:9")
    assert outcome.status == 1
    assert "no conda-store can be reached at http://127.0.0.1:9" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_refusal_shows_message_and_hint(command: Callable, server) -> None:
    body = json.dumps({"status": "error", "message": "request not authorized", "hint": "Ask an admin."}).encode()
    server.reply("GET /api/v1/permission/", body, 403)
    outcome = command("info")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == "request not authorized\nAsk an admin.\n"


def test_what_was_not_foreseen_is_still_no_traceback() -> None:
    text = explained(ZeroDivisionError("x"))
    assert text.startswith("ZeroDivisionError: x")
    assert "--debug" in text


def test_messages_do_not_steer_the_terminal() -> None:
    assert "\x1b" not in explained(CondaStoreError("\x1b[2Jgone"))


def test_debug_shows_where_an_error_arises(command: Callable) -> None:
    with pytest.raises(CondaStoreError):
        command("--debug", "info", url="http://127.0.0.1:9")


def test_a_remembered_token_is_used_for_its_server_only(command: Callable, server) -> None:
    server.data("GET /api/v1/permission/", PERMISSIONS)
    remember("http://127.0.0.1:1", "other")
    command("info")
    remember(server.url, "mine")
    command("info")
    command("--auth", "none", "info")
    assert [request.headers.get("authorization") for request in server.requests] == [None, "Bearer mine", None]
    assert credentials_path().is_relative_to(os.environ["XDG_CONFIG_HOME"])


def test_login_by_password_keeps_its_cookie_on_an_ip_address(
    command: Callable, server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDA_STORE_USERNAME", "me")
    monkeypatch.setenv("CONDA_STORE_PASSWORD", "pw")
    server.data("GET /api/v1/permission/", PERMISSIONS)
    server.data("POST /login/", {"redirect_url": "/"})
    server.routes["POST /login/"].headers = {"set-cookie": "conda-store-auth=c1; HttpOnly; Path=/; SameSite=strict"}
    assert command("--auth", "basic", "info").status == 0
    assert server.requests[0].json == {"username": "me", "password": "pw"}
    assert server.requests[1].headers["cookie"] == "conda-store-auth=c1"


def test_login_by_token(command: Callable, server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.data("GET /api/v1/permission/", PERMISSIONS)
    assert "CONDA_STORE_TOKEN" in command("--auth", "token", "info").err
    monkeypatch.setenv("CONDA_STORE_TOKEN", "t1")
    command("--auth", "token", "info")
    assert server.requests[-1].headers["authorization"] == "Bearer t1"


def test_the_address_and_login_come_from_the_environment(
    home: Path, server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.data("GET /api/v1/permission/", PERMISSIONS)
    monkeypatch.setenv("CONDA_STORE_URL", f"{server.url}/")
    monkeypatch.setenv("CONDA_STORE_AUTH", "token")
    monkeypatch.setenv("CONDA_STORE_TOKEN", "t1")
    assert run_command(["info"]) == 0
    assert server.requests[0].headers["authorization"] == "Bearer t1"
    assert "Default namespace is default" in capsys.readouterr().out


def test_a_password_is_hashed_for_the_file(process) -> None:
    import subprocess
    import sys

    program = "from conda_store.cli.main import main; main()"
    arguments = ["password", "alice", "--group", "data", "--password-stdin"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], input="wonderland\n", capture_output=True, text=True, timeout=60
    )
    name, hashed, groups = done.stdout.strip().split(":")
    assert (name, groups) == ("alice", "data")
    assert hashed.startswith("$argon2id$")
    assert "wonderland" not in done.stdout + done.stderr


def test_what_the_server_remarks_about_a_role_is_shown(command: Callable, server) -> None:
    server.data("GET /api/v1/namespace/team/roles", [])
    server.reply("POST /api/v1/namespace/team/role", b'{"status": "ok", "message": "It has no effect."}')
    outcome = command("namespace", "role", "grant", "team", "guests", "viewer")
    assert (outcome.status, outcome.err) == (0, "It has no effect.\n")


def test_a_name_that_would_be_another_path_is_refused(command: Callable, server) -> None:
    for name in ("", "team/x"):
        outcome = command("namespace", "create", name)
        assert (outcome.status, outcome.err) == (1, f"{name!r} is no name\nA name is not empty and has no slash.\n")
    assert server.requests == []
