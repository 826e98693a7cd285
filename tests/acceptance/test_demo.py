"""`make demo ONCE=1`, as a newcomer runs it, with a channel that is reachable and with none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needed import missing
from tests.waiting import PATIENCE
from tools.channel.serve import ChannelServer

ROOT = Path(__file__).parents[2]


def demo(data: Path, alias: str) -> str:
    command = [sys.executable, "-m", "tools.demo", "--once", "--port=0", f"--data={data}", f"--channel-alias={alias}"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE * 4,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def conda_forge(directory: Path, channel: Path) -> Path:
    """A directory in which the channel is called conda-forge."""
    shutil.copytree(channel, directory / "channels" / "conda-forge", copy_function=os.link)
    return directory / "channels"


def shows_an_environment_at_work(output: str) -> None:
    assert "numpy 2." in output and "and pandas " in output
    for form in ("page", "prefix", "lockfile", "archive"):
        assert f"  {form} " in output


def test_it_takes_a_channel_that_can_be_reached(tmp_path: Path, real_channel: Path) -> None:
    with ChannelServer(conda_forge(tmp_path, real_channel)) as stand_in:
        output = demo(tmp_path / "data", stand_in.url)
        assert stand_in.count("/conda-forge/*/numpy-*") > 0
    assert f"Using the channel {stand_in.url}/conda-forge." in output
    shows_an_environment_at_work(output)


def test_it_makes_a_channel_where_none_can_be_reached(tmp_path: Path) -> None:
    if not (ROOT / ".cache" / "demo-channel" / "conda-forge" / "noarch" / "repodata.json").exists():
        missing("the channel of the demo")
    output = demo(tmp_path / "data", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be reached from here" in output
    shows_an_environment_at_work(output)


def test_a_port_in_use_is_said(tmp_path: Path, real_channel: Path) -> None:
    with ChannelServer(conda_forge(tmp_path, real_channel)) as stand_in:
        port = stand_in.url.rpartition(":")[2]
        command = [sys.executable, "-m", "tools.demo", "--once", f"--port={port}", f"--data={tmp_path / 'data'}",
                   f"--channel-alias={stand_in.url}"]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert "cannot be listened on" in done.stderr
    assert "Traceback" not in done.stderr


pytestmark = pytest.mark.acceptance
