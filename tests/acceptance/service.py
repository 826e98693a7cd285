"""`conda-store serve` as a real process with a worker of its own, seen as clients see it: HTTP and the command line."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from conda_store.storage.keys import is_unfinished, stored_path
from tests.ports import Port
from tests.processes import alive_children, is_running
from tests.waiting import PATIENCE, wait_for

PROGRAM = str(Path(sys.executable).with_name("conda-store"))
ENDED = {"COMPLETED", "FAILED", "CANCELED"}
API = "/api/v1"
_SERVED = re.compile(r"conda-store is served at (http\S+)/\s")
_QUICK = {
    "storage_threshold": 0,
    "lease_seconds": 12.0,
    "first_retry_delay": 0.1,
    "repodata_check_interval": 0.0,
}


class Service:
    """All that is kept lies below `directory`. `options` are those of `c.CondaStore`. However often it is started, it
    has the same port."""

    def __init__(self, directory: Path, *arguments: str, indexes: bool = False, **options: object) -> None:
        self.directory = directory
        self.data = directory / "data" / "conda-store"
        self.log_file = directory / "serve.log"
        self.temporary = directory / "temporary"
        self._arguments = arguments
        self._indexes = indexes
        self._options = _QUICK | options
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CONDA")},
            "XDG_DATA_HOME": str(directory / "data"),
            "XDG_CONFIG_HOME": str(directory / "config"),
            "XDG_CACHE_HOME": str(directory / "cache"),
            "TMPDIR": str(self.temporary),
            "COLUMNS": "200",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._port = Port()
        self.http = httpx.Client(timeout=PATIENCE)

    # --- the process ---------------------------------------------------------------------------------------

    def start(self, *further: str) -> None:
        """Start it, and wait for the first answer."""
        self.temporary.mkdir(parents=True, exist_ok=True)
        begin = self.log_file.stat().st_size if self.log_file.exists() else 0
        options = [
            f"--CondaStore.{name}={item}"
            for name, value in self._options.items()
            for item in (value if isinstance(value, list) else [value])
        ]
        command = [
            PROGRAM, "serve", f"--port={self._port.number}", f"--CondaStoreWorker.index_channels={self._indexes}",
            "--CondaStoreWorker.concurrency=2", *options, *self._arguments, *further,
        ]  # fmt: skip
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment, start_new_session=True
            )

        def served() -> re.Match[str] | None:
            assert self.process is not None and self.process.poll() is None, self.log_text()
            return _SERVED.search(self.log_file.read_bytes()[begin:].decode())

        url = wait_for("the service is up", served)[1]
        token = (self.data / "admin-token").read_text()
        self.http.close()
        self.http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE, follow_redirects=True
        )
        wait_for("the service answers", self._answers)

    def _answers(self) -> bool:
        try:
            return self.http.get(f"{API}/").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def worker(self) -> int:
        """The process id of the worker, once it is there."""
        return wait_for("the worker is there", lambda: next(iter(self._workers()), None))

    def _workers(self) -> list[int]:
        return [pid for pid in alive_children(self.pid) if b"\0worker\0" in _command_line(pid)]

    def family(self) -> set[int]:
        """The server's process and all that descend from it."""
        return {self.pid, *alive_children(self.pid)}

    def kill(self) -> set[int]:
        """kill -9 of the server; returns the processes that it had."""
        family = self.family()
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        return family

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = PATIENCE) -> int:
        """Tell it to end; returns the exit status."""
        assert self.process is not None
        family = self.family() if self.process.poll() is None else set()
        self.process.send_signal(number)
        status = self.process.wait(seconds)
        wait_for("all its processes end", lambda: not any(map(is_running, family)))
        return status

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self.http.close()
        self._port.close()

    def log_text(self) -> str:
        return self.log_file.read_text()

    # --- over HTTP -----------------------------------------------------------------------------------------

    def post(self, specification: str, **further: object) -> httpx.Response:
        return self.http.post(f"{API}/specification/", json={"specification": specification, **further})

    def submit(self, specification: str, **further: object) -> int:
        answer = self.post(specification, **further)
        assert answer.status_code == httpx.codes.OK, answer.text
        build_id: int = answer.json()["data"]["build_id"]
        return build_id

    def build(self, build_id: int) -> dict[str, Any]:
        answer = self.http.get(f"{API}/build/{build_id}/")
        assert answer.status_code == httpx.codes.OK, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found

    def ended(self, build_id: int, seconds: float = PATIENCE) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            build = self.build(build_id)
            return build if build["status"] in ENDED else None

        return wait_for(f"build {build_id} ends", look, seconds)

    def completed(self, specification: str, **further: object) -> int:
        """The id of a build that has to succeed."""
        build_id = self.submit(specification, **further)
        build = self.ended(build_id)
        assert build["status"] == "COMPLETED", self.log(build_id)
        return build_id

    def in_phase(self, build_id: int, phase: str) -> None:
        def look() -> bool:
            row = self.row("SELECT status, progress FROM build WHERE id = ?", build_id)
            assert row[0] not in ENDED, f"build {build_id} was {row[0]} before it was {phase}"
            return row[0] == "BUILDING" and json.loads(row[1] or "{}").get("phase") == phase

        wait_for(f"build {build_id} is {phase}", look)

    def log(self, build_id: int) -> str:
        return self.http.get(f"{API}/build/{build_id}/logs/").text

    # --- the command line ----------------------------------------------------------------------------------

    def command(self, *arguments: str, seconds: float = PATIENCE, **further: Any) -> subprocess.CompletedProcess[str]:
        """`conda-store <arguments>`, as the user who started the server."""
        return subprocess.run(
            [PROGRAM, *arguments],
            env={**self.environment, "CONDA_STORE_URL": str(self.http.base_url).rstrip("/")},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            **further,
        )

    def told(self, *arguments: str, **further: Any) -> str:
        """Standard output of a command that has to succeed."""
        ended = self.command(*arguments, **further)
        assert ended.returncode == 0, f"{arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    # --- what lies on the disk -----------------------------------------------------------------------------

    @property
    def state(self) -> Path:
        return self.data / "state"

    def link(self, name: str, namespace: str = "default") -> Path:
        return self.state / namespace / "envs" / name

    def prefix(self, build_id: int) -> Path:
        return Path(self.row("SELECT prefix FROM build WHERE id = ?", build_id)[0])

    def linked_to(self, build_id: int, name: str, namespace: str = "default") -> None:
        link, prefix = self.link(name, namespace), self.prefix(build_id)
        wait_for(f"{name} is linked to build {build_id}", lambda: link.is_symlink() and link.readlink() == prefix)

    def row(self, query: str, *values: object) -> tuple[Any, ...]:
        return self.rows(query, *values)[0]

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"file:{self.data / 'conda-store.sqlite'}?mode=ro", uri=True, timeout=PATIENCE)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def debris(self) -> list[Path]:
        """What belongs to no completed build, no running process, nor to the trash."""
        kept = {row[0] for row in self.rows("SELECT prefix FROM build WHERE status = 'COMPLETED'")}
        found = list(self.temporary.iterdir())
        temporary = self.state / "%temporary"
        found += [path for path in temporary.iterdir() if not _is_locked(path)] if temporary.exists() else []
        for directory in self.state.iterdir() if self.state.exists() else ():
            if directory.name not in {"%trash", "%temporary"}:
                found += [path for path in directory.iterdir() if path.name != "envs" and str(path) not in kept]
            links = directory / "envs"
            found += [path for path in links.iterdir() if not path.exists()] if links.exists() else []
        ready = "SELECT key FROM build_artifact WHERE state = 'READY' AND artifact_type != 'DIRECTORY'"
        known = {stored_path(row[0]) for row in self.rows(ready)}
        storage = self.data / "storage"
        # what was being written when its writer was killed is removed an hour later
        files = [path for path in storage.rglob("*") if path.is_file() and not is_unfinished(path.name)]
        found += [path for path in files if str(path.relative_to(storage)) not in known]
        return found

    def is_clean(self) -> None:
        """Wait until nothing is left over, the trash included."""
        trash = self.state / "%trash"
        wait_for("the trash is taken out", lambda: not trash.exists() or not any(trash.iterdir()))
        deadline = time.monotonic() + PATIENCE
        while found := self.debris():
            assert time.monotonic() < deadline, found
            time.sleep(0.02)


def _is_locked(directory: Path) -> bool:
    """Whether the process that the directory belongs to is there; also when it has just been cleared away."""
    try:
        descriptor = os.open(directory / ".in-use", os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _command_line(pid: int) -> bytes:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


@contextmanager
def serving(directory: Path, *arguments: str, indexes: bool = False, **options: object) -> Iterator[Service]:
    """A service that is up, and ends with the block."""
    service = Service(directory, *arguments, indexes=indexes, **options)
    try:
        service.start()
        yield service
    finally:
        service.close()
