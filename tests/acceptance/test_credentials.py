"""Secrets of private channels and indexes are used, and are nowhere to be found."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from conda_store.db import locks
from conda_store.domain.access import SYSTEM
from conda_store.domain.build import BuildStatus
from conda_store.domain.conda_lock import document
from conda_store.services.credentials import (
    delete_credential,
    list_credentials,
    seal_anew,
    set_credential,
)
from conda_store.services.specifications import Submission, submit
from tests.acceptance.harness import Store, store, write_wheel
from tests.files import files_below
from tests.waiting import PATIENCE, wait_for
from tools.channel import tiny
from tools.channel.serve import ChannelServer, Fault

USER, PASSWORD = "ada-the-planted", "s3cret+planted/="
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode())
# in whatever form: the start of the password is in all of them but base64
PLANTED = (PASSWORD.encode(), quote(PASSWORD, safe="").encode(), quote(PASSWORD).encode(), BASIC)
HOST = "127.0.0.1"


@pytest.fixture
def private(tmp_path: Path) -> Iterator[ChannelServer]:
    directory = tmp_path / "private"
    tiny.write_package(directory / "channel", "tool", "1.0", files={"share/tool.txt": "hello\n"})
    tiny.index(directory / "channel")
    write_wheel(directory / "simple" / "alpha", "alpha")
    with ChannelServer(directory, authorization=f"Basic {BASIC.decode()}") as server:
        page = b'<a href="alpha-1.0-py3-none-any.whl">alpha-1.0-py3-none-any.whl</a>'
        # the first who ask wait until somebody has had a look
        server.faults["/simple/alpha/"] = Fault(body=page, content_type="text/html", hang=True, times=1)
        server.faults["*.conda"] = Fault(hang=True, times=1)
        server.faults["*.whl"] = Fault(hang=True, times=1)
        server.faults["/simple/alpha[/]"] = Fault(body=page, content_type="text/html")
        yield server


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Store]:
    with store(
        tmp_path / "store", credential_key_file=str(tmp_path / "key"), conda_default_channels=[], max_build_attempts=1
    ) as opened:
        yield opened


def specification(private: ChannelServer, real_channel: Path, name: str) -> bytes:
    return json.dumps(
        {
            "name": name,
            "channels": [f"{private.url}/channel", real_channel.as_uri()],
            "dependencies": ["python=3.11", "tool", {"pip": [f"--index-url {private.url}/simple", "alpha"]}],
        }
    ).encode()


class Watch:
    """Looks for secrets in the command lines and variables of all processes, until it is stopped."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.looks = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._stopping.wait(0.005):
            self.looks += 1
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        text = (process / name).read_bytes()
                    except OSError:
                        continue
                    if any(secret in text for secret in PLANTED):
                        self.found.add(f"{name}: {text[:200]!r}")


def leaks(directory: Path) -> list[str]:
    return [str(path) for path, content in files_below(directory) if any(secret in content for secret in PLANTED)]


def first_asked(faults: dict[str, Fault]) -> str | None:
    """The path of a fault that somebody has met."""
    return next((path for path, fault in faults.items() if fault.times == 0), None)


def failure(opened: Store, build_id: int) -> str:
    build = opened.ended(build_id)
    assert build.status is BuildStatus.FAILED
    return build.status_info or ""


def test_secrets_are_used_and_nowhere_to_be_found(private: ChannelServer, opened: Store, real_channel: Path) -> None:
    context = opened.context
    set_credential(context, SYSTEM, {"host": HOST, "username": USER, "secret": PASSWORD}, "team")
    (note,) = list_credentials(context, SYSTEM, "team")
    assert (note.host, note.namespace, note.kind, note.set_by) == (HOST, "team", "basic", "system")
    assert PASSWORD not in repr(note)
    opened.start_worker()
    with Watch() as watch:
        text = specification(private, real_channel, "ours")
        build_id = submit(context, SYSTEM, Submission(text, "team"))
        # it waits for the index in uv's solve, for a package, and for the wheel: at least two looks at each
        while waiting := {path: fault for path, fault in private.faults.items() if fault.hang}:
            path = wait_for("something is asked for", lambda faults=waiting: first_asked(faults))
            looks = watch.looks
            wait_for("two looks", lambda looks=looks: watch.looks >= looks + 2)
            del private.faults[path]
        build = opened.ended(build_id)
        assert build.status is BuildStatus.COMPLETED, opened.log(build_id)
    assert watch.found == set()
    prefix = Path(str(build.prefix))
    assert (prefix / "share/tool.txt").read_text() == "hello\n"
    assert list(prefix.glob("lib/python3.11/site-packages/alpha/__init__.py"))
    assert private.count("*.whl") >= 1

    # nobody else: not by the same question, not by the lock of those who may
    stranger = submit(context, SYSTEM, Submission(text, "others"))
    assert "refused" in failure(opened, stranger)
    assert build.lock_digest is not None
    with context.database.read() as connection:
        lock = locks.load(connection, build.lock_digest)
    handed_in = json.dumps(dict(document(lock, "0" * 64))).encode()
    by_lock = submit(context, SYSTEM, Submission(handed_in, "others", "conda-lock", "by-lock"))
    assert "refused to this namespace with status 401" in failure(opened, by_lock)

    assert seal_anew(context, SYSTEM) == 1
    delete_credential(context, SYSTEM, HOST, "team")
    again = submit(context, SYSTEM, Submission(text, "team"))
    assert "refused" in failure(opened, again)
    assert leaks(opened.directory) == []


def test_a_key_file_is_made_for_its_owner_alone(opened: Store, tmp_path: Path) -> None:
    set_credential(opened.context, SYSTEM, {"host": HOST, "kind": "bearer", "secret": PASSWORD})
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert leaks(opened.directory) == []
