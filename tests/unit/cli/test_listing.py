import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from conda_store.cli.output import binary_size, printable

INFO = """\
Default namespace is default
Authenticated True
                      Permissions                       
┏━━━━━━━━━━━┳━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┓
┃ Namespace ┃ Name ┃ Permissions                       ┃
┡━━━━━━━━━━━╇━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┩
│ *         │ *    │                                   │
│ default   │ *    │ environment::read namespace::read │
└───────────┴──────┴───────────────────────────────────┘
"""
BUILDS = """\
            Builds            
┏━━━━┳━━━━━━━━━┳━━━━━━━━━━━┓
┃ Id ┃ Size    ┃ Status    ┃
┡━━━━╇━━━━━━━━━╇━━━━━━━━━━━┩
│ 7  │ 11.8MiB │ COMPLETED │
│ 8  │ 0.0B    │ QUEUED    │
└────┴─────────┴───────────┘
"""


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


TOKEN = {
    "id": 5, "kind": "token", "name": "ci", "owner": "user:alice", "primary_namespace": "alice",
    "role_bindings": {"team/*": ["viewer", "admin"]}, "created_on": "2026-11-21T03:27:27",
    "expiration": "2026-12-21T03:27:27", "last_used_on": None,
}  # fmt: skip


def test_tokens_are_listed_and_revoked(command, server):
    server.page("GET /api/v1/token/", [TOKEN, TOKEN | {"id": 6, "role_bindings": None}])
    shown = command("token", "list", "--everybody").out
    assert "team/*:viewer,admin" in shown
    assert "its owner's" in shown
    assert server.requests[-1].query["everybody"] == ["true"]
    assert json.loads(command("token", "list", "--output", "json").out)[0] == TOKEN
    server.data("DELETE /api/v1/token/5/", None)
    assert command("token", "revoke", "5").status == 0
    assert command("token", "revoke", "7").status == 1
    server.data("DELETE /api/v1/user/ada/token/", None)
    assert "All tokens and logins of ada" in command("token", "revoke", "--all-of", "ada").err
    for arguments in ([], ["5", "--all-of", "ada"]):
        assert command("token", "revoke", *arguments).status == 2


def test_a_named_token_is_printed_with_a_newline(command, server):
    server.data("POST /api/v1/token/", {"token": "T"})
    assert command("token", "create", "--name", "ci").out == "T\n"
    assert server.requests[-1].json == {"name": "ci"}
    assert command("token", "--namespace", "x", "create").status == 2


def test_info(command: Callable, server) -> None:
    permissions = {
        "authenticated": True,
        "primary_namespace": "default",
        "entity_permissions": {"default/*": ["environment::read", "namespace::read"], "*/*": []},
        "entity_roles": {"default/*": ["viewer"]},
        "expiration": "2026-11-22T03:27:27Z",
    }
    server.data("GET /api/v1/permission/", permissions)
    assert lines(command("info").out) == lines(INFO)
    assert json.loads(command("info", "--output", "json").out) == permissions


def test_a_token_is_printed_bare(command: Callable, server) -> None:
    server.data("POST /api/v1/token/", {"token": "T"})
    before = datetime.now(UTC)
    outcome = command(
        "token", "--namespace", "n", "--expiration", "60", "--permission", "a/b:viewer,developer",
        "--permission", "a/*:viewer",
    )  # fmt: skip
    assert (outcome.status, outcome.out) == (0, "T")
    body = server.requests[0].json
    seconds = (datetime.fromisoformat(body.pop("expiration")) - before).total_seconds()
    assert 59 < seconds < 660
    assert body == {"primary_namespace": "n", "role_bindings": {"a/b": ["viewer", "developer"], "a/*": ["viewer"]}}


def test_a_token_as_one_is(command: Callable, server) -> None:
    server.data("POST /api/v1/token/", {"token": "T"})
    assert command("token").out == "T"
    assert server.requests[0].json == {}


@pytest.mark.parametrize("text", ["a", "a/b", "a:viewer", "a/b:", "a/b:viewer,", "a/b/c:viewer"])
def test_a_permission_that_cannot_be_read(command: Callable, text: str) -> None:
    outcome = command("token", "--permission", text)
    assert outcome.status == 1
    assert f"--permission {text} cannot be read" in outcome.err


def test_namespaces(command: Callable, server) -> None:
    server.page("GET /api/v1/namespace/", [{"id": 1, "name": "default"}, {"id": 2, "name": "[b]x[/b]"}])
    out = command("list", "namespace").out
    assert "Namespaces" in out
    assert "│ 2  │ [b]x[/b] │" in out
    assert json.loads(command("list", "namespace", "--output", "json").out)[0] == {"id": 1, "name": "default"}


def test_builds(command: Callable, server, rows: tuple) -> None:
    a_build, _ = rows
    builds = [a_build(7), a_build(8, status="QUEUED", size=0)]
    server.page("GET /api/v1/build/", builds)
    out = command("list", "build").out
    assert lines(out)[1:] == lines(BUILDS)[1:]
    assert lines(out)[0].strip() == "Builds"
    assert json.loads(command("list", "build", "--output", "json").out) == [
        {**builds[0], "size": "11.8MiB"},
        {**builds[1], "size": "0.0B"},
    ]


def test_environments_with_all_filters(command: Callable, server, rows: tuple) -> None:
    _, an_environment = rows
    server.page("GET /api/v1/environment/", [an_environment()])
    filters = ["--status", "COMPLETED", "--artifact", "CONDA_PACK", "--package", "dask", "--package", "zlib"]
    out = command("list", "environment", *filters).out
    assert "│ 1  │ 3            │ env1 │" in out
    query = server.requests[0].query
    assert (query["status"], query["artifact"], query["packages"]) == (["COMPLETED"], ["CONDA_PACK"], ["dask", "zlib"])
    assert json.loads(command("list", "environment", "--output", "json").out) == [an_environment()]


def test_environments_for_people(command: Callable, server, rows: tuple) -> None:
    _, an_environment = rows
    row = an_environment(description="a \x1b[31mlong " + "text " * 40, current_build_status="COMPLETED")
    server.page("GET /api/v1/environment/", [row])
    out = command("env", "list", "--namespace", "ns", "--search", "env").out
    assert "│ ns        │ env1 │ 7     │ a �[31mlong text" in out
    (request,) = server.requests
    assert (request.query["search"], request.query["with_status"]) == (["env"], ["true"])
    # nothing is cut where the output is no terminal
    assert "text " * 39 in out


def test_an_environment_whose_only_build_failed_is_told(command: Callable, server, rows: tuple) -> None:
    _, an_environment = rows
    server.page("GET /api/v1/environment/", [an_environment(current_build_status="FAILED")])
    assert "│ 7, FAILED │" in command("env", "list").out
    command("env", "list", "--output", "json")
    assert "with_status" not in server.requests[-1].query, "programs know the keys, and these alone"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0.0B"),
        (1023, "1023.0B"),
        (1024, "1.0KiB"),
        (12345678, "11.8MiB"),
        (5 * 10**9, "4.7GiB"),
        (2**60, "1024.0PiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert binary_size(count) == text


def test_text_from_elsewhere_does_not_steer_the_terminal() -> None:
    assert printable("a\tb\r\nc\rd\x1b]0;x\x07\x9b") == "a\tb\nc�d�]0;x��"


def test_the_prompt_stands_below_a_word_on_a_terminal() -> None:
    program = "from conda_store.cli.output import print_word; print_word('/out/build-7.lock')"
    ours, terminal = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen, os.fdopen(terminal, "wb") as end:
        subprocess.run([sys.executable, "-c", program], stdout=end, check=True, timeout=60)
        assert screen.read(100) == b"/out/build-7.lock\r\n"
    piped = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, timeout=60)
    assert piped.stdout == b"/out/build-7.lock"
