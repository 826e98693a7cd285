"""Programs that a build runs never outlive it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conda_store.builder.child_process import child_environment, run_child
from tests.processes import is_running
from tests.waiting import wait_for

SLEEPER = "echo $$ > main; sleep 600 & echo $! > child; echo started; wait"


def wait_until_dead(*pids: int) -> None:
    wait_for("the end of the processes", lambda: not any(map(is_running, pids)), 20)


def recorded(directory: Path, name: str) -> int:
    """The number that a process writes to a file, once it has."""
    wait_for(f"something in {name}", lambda: (directory / name).exists() and (directory / name).read_text().strip(), 20)
    return int((directory / name).read_text())


async def start(directory: Path, script: str, *, on_line=lambda _: None, limit: float = 30.0, stdin: bytes = b""):
    return await run_child(
        ["/bin/sh", "-c", script],
        environment=child_environment(directory),
        directory=directory,
        on_line=on_line,
        stdin=stdin,
        timeout=limit,
    )


def test_lines_and_status(tmp_path):
    lines: list[str] = []
    ended = asyncio.run(start(tmp_path, "echo out; echo err >&2; cat; exit 7", on_line=lines.append, stdin=b"in\n"))
    assert ended.status == 7
    assert lines == ["out", "err", "in"]
    assert ended.tail == ("out", "err", "in")


def test_endless_line_does_no_harm(tmp_path):
    ended = asyncio.run(start(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last"))
    assert ended.status == 0
    assert ended.tail[-1].endswith("last")


def test_variables_of_the_service_are_not_passed_on(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "hush")
    ended = asyncio.run(start(tmp_path, "env"))
    assert not any("hush" in line for line in ended.tail)
    assert any(line.startswith(f"PATH={tmp_path}/bin:") for line in ended.tail)


def test_time_out_kills_the_whole_group(tmp_path):
    with pytest.raises(TimeoutError):
        asyncio.run(start(tmp_path, SLEEPER, limit=1.0))
    wait_until_dead(recorded(tmp_path, "main"), recorded(tmp_path, "child"))


def test_cancelling_kills_the_whole_group(tmp_path):
    async def cancel() -> None:
        started = asyncio.Event()
        task = asyncio.create_task(start(tmp_path, SLEEPER, on_line=lambda _: started.set()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancel(), 20))
    wait_until_dead(recorded(tmp_path, "main"), recorded(tmp_path, "child"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_child_dies_with_a_killed_parent(tmp_path):
    code = f"""
import asyncio
from pathlib import Path
from conda_store.builder.child_process import run_child
asyncio.run(run_child(["/bin/sh", "-c", "echo $$ > main; exec sleep 600"], environment={{"PATH": "/bin:/usr/bin"}},
                      directory=Path({str(tmp_path)!r}), on_line=print, timeout=600))
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        child = recorded(tmp_path, "main")
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(timeout=20)
    wait_until_dead(child)
