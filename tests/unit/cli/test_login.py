"""`conda-store login`, `logout` and `whoami`, with a server that answers as ours does."""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conda_store.client import credentials

ALICE = {
    "name": "alice",
    "authenticated": True,
    "primary_namespace": "alice",
    "groups": ["data"],
    "expiration": None,
    "token_id": 7,
}
NOBODY = ALICE | {"name": "anonymous", "authenticated": False, "groups": [], "token_id": None}


@pytest.fixture
def knows(server: Any) -> Callable[[str], None]:
    """The server knows alice by this token, and nobody else."""

    def know(token: str) -> None:
        def answer(request: Any) -> Any:
            found = ALICE if request.headers.get("authorization") == f"Bearer {token}" else NOBODY
            server.reply("", json.dumps({"status": "ok", "data": found, "message": None}).encode())
            return server.routes[""]

        server.routes["GET /api/v1/user/"] = answer

    return know


def hand_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_token_from_standard_input_is_kept_and_used(command, server, knows, home: Path, monkeypatch) -> None:
    knows("t1")
    hand_in(monkeypatch, "t1\n")
    outcome = command("login", "--token")
    assert (outcome.status, outcome.out) == (0, "")
    assert "Logged in as alice" in outcome.err
    path = home / "config" / "conda-store" / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert command("whoami").out == "alice, of data\n"
    assert json.loads(command("whoami", "--output", "json").out) == ALICE


@pytest.mark.parametrize("text", ["wrong\n", "\n", ""])
def test_a_token_that_is_not_known_is_not_kept(command, server, knows, monkeypatch, text: str) -> None:
    knows("t1")
    hand_in(monkeypatch, text)
    outcome = command("login", "--token")
    assert outcome.status == 1
    assert "wrong" not in outcome.err
    assert credentials.recall(server.url) is None


def test_by_a_code(command, server, knows) -> None:
    knows("t2")
    codes = {"device_code": "d", "user_code": "BCDF-GHJK", "verification_uri": "http://x/login/device/"}
    rest = {"verification_uri_complete": "http://x/?c", "expires_in": 5, "interval": 0}
    server.reply("POST /login/device/code/", json.dumps(codes | rest).encode())
    server.reply("POST /login/token/", json.dumps({"access_token": "t2"}).encode())
    outcome = command("login", "--device")
    assert outcome.status == 0
    assert "BCDF-GHJK" in outcome.err
    assert "http://x/login/device/" in outcome.err
    assert "t2" not in outcome.err + outcome.out
    assert command("whoami").status == 0


def test_logging_out_ends_the_token_at_the_server(command, server, knows, monkeypatch) -> None:
    knows("t1")
    hand_in(monkeypatch, "t1\n")
    command("login", "--token")
    server.data("DELETE /api/v1/token/7/", None)
    assert "Logged out" in command("logout").err
    assert server.requests[-1].headers["authorization"] == "Bearer t1"
    assert credentials.recall(server.url) is None
    whoami = command("whoami")
    assert (whoami.status, whoami.out) == (1, "")
    assert "conda-store login" in whoami.err
    assert "Nobody is logged in" in command("logout").err


def test_a_token_that_is_known_no_more_is_forgotten(command, server, knows) -> None:
    knows("another")
    credentials.remember(server.url, "t1")
    assert command("logout").status == 0
    assert credentials.recall(server.url) is None


def test_a_token_that_cannot_be_ended_is_forgotten_and_that_is_said(command, server) -> None:
    credentials.remember(server.url, "t1")
    server.reply("GET /api/v1/user/", b"{}", 500)
    outcome = command("logout")
    assert outcome.status == 1
    assert "forgotten here" in outcome.err
    assert credentials.recall(server.url) is None


def test_two_ways_at_once_are_too_many(command) -> None:
    assert command("login", "--token", "--device").status == 2
