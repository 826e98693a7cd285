"""Programs that a build runs never outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conda_store.builder.child_process import child_environment, run_child

SLEEPER = "echo $$ > main; sleep 600 & echo $! > child; echo started; wait"


def is_alive(pid: int) -> bool:
    """Running, and no zombie that waits to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_dead(*pids: int) -> None:
    deadline = time.monotonic() + 20
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "processes still run"
        time.sleep(0.02)


def recorded(directory: Path, name: str) -> int:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int((directory / name).read_text())
        assert time.monotonic() < deadline, f"{name} was not written"
        time.sleep(0.02)


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
