"""Temporary files lie in the store, and go with their process, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from conda_store.domain.deployment import Deployment
from conda_store.errors import ConfigurationError
from conda_store.services.temporary_files import (
    clear_temporary_files,
    own_temporary_directory,
    require_store_directory,
)

PROCESS = """
import subprocess, sys, tempfile
from pathlib import Path
from conda_store.domain.deployment import Deployment
from conda_store.services.temporary_files import own_temporary_directory

with own_temporary_directory(Deployment(Path(sys.argv[1]))):
    tempfile.mkdtemp()
    subprocess.run(["mktemp"], check=True, stdout=subprocess.DEVNULL)
    print("ready", flush=True)
    sys.stdin.read()
"""
WORKER = """
import signal, sys, tempfile
from pathlib import Path
from conda_store.domain.deployment import Deployment
from conda_store.services.temporary_files import own_temporary_directory
from conda_store.worker.processes import Nursery

with own_temporary_directory(Deployment(Path(sys.argv[1]))):
    nursery = Nursery(None, signal.pause)
    nursery.prepare()
    child = nursery.new()  # it waits for a signal, as soon as it runs
    child.kill()
    print(tempfile.gettempdir())
"""


def start(store: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str], number: signal.Signals | None = None) -> None:
    if number is not None:
        process.send_signal(number)
    process.communicate(timeout=20)


def test_those_of_a_killed_process_are_cleared_away_and_those_of_a_running_one_are_not(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "store")
    killed, running = start(tmp_path / "store"), start(tmp_path / "store")
    assert clear_temporary_files(deployment) == 0
    end(killed, signal.SIGKILL)
    assert clear_temporary_files(deployment) == 1
    (left,) = deployment.temporary_directory.iterdir()
    assert len(list(left.glob("tmp*"))) == 2  # its own, and that of the program which it started
    end(running)
    assert list(deployment.temporary_directory.iterdir()) == []
    assert len(list(deployment.trash_directory.iterdir())) == 2


def test_the_next_process_clears_away_what_was_left(tmp_path: Path) -> None:
    end(start(tmp_path), signal.SIGKILL)
    with own_temporary_directory(Deployment(tmp_path)):
        assert len(list(Deployment(tmp_path).temporary_directory.iterdir())) == 1


def test_afterwards_everything_is_as_before(tmp_path: Path) -> None:
    before = tempfile.gettempdir(), os.environ.get("TMPDIR")
    with own_temporary_directory(Deployment(tmp_path)):
        assert tempfile.gettempdir() == os.environ["TMPDIR"] != before[0]
        assert Path(tempfile.gettempdir()).parent == Deployment(tmp_path).temporary_directory
    assert (tempfile.gettempdir(), os.environ.get("TMPDIR")) == before
    assert not Deployment(tmp_path).trash_directory.exists()


def test_a_store_that_cannot_be_written_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with own_temporary_directory(Deployment(tmp_path / "store")):
        assert not tempfile.gettempdir().startswith(str(tmp_path / "store"))


def test_the_fork_server_starts_however_deep_the_store_lies(tmp_path: Path) -> None:
    """It listens at a socket, whose name has at most 107 bytes."""
    store = tmp_path.joinpath(*["deep" * 10] * 4)
    system = tmp_path / "system"
    system.mkdir()
    environment = {**os.environ, "TMPDIR": str(system)}
    ended = subprocess.run(
        [sys.executable, "-c", WORKER, str(store)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(str(store))
    assert list(system.iterdir()) == []
    assert list(Deployment(store).temporary_directory.iterdir()) == []
    # the socket went as well, when the process ended
    assert [path for directory in Deployment(store).trash_directory.iterdir() for path in directory.iterdir()] == []


def test_a_store_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for unusable in (file, file / "below", Path("/proc/store")):
        with pytest.raises(ConfigurationError, match=f"'{unusable}' cannot be used") as caught:
            require_store_directory(Deployment(unusable))
        assert "c.CondaStore.store_directory" in caught.value.hint
    for breaking in ('a "quoted" store', "$HOME", "it's", "one:two", "back\\slash", "two\nlines"):
        with pytest.raises(ConfigurationError, match="breaks their scripts") as caught:
            require_store_directory(Deployment(tmp_path / breaking))
        assert "c.CondaStore.store_directory" in caught.value.hint
        with pytest.raises(ConfigurationError, match="breaks their scripts"):
            require_store_directory(Deployment(tmp_path, build_directory=f"{tmp_path / breaking}/{{namespace}}"))
    assert list(tmp_path.iterdir()) == [file]
    require_store_directory(Deployment(tmp_path / "a b" / "store"))
    require_store_directory(Deployment(tmp_path / "new" / "store"))
    assert (tmp_path / "new" / "store").is_dir()
