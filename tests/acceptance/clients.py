"""The programs with which people pull images."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.needed import missing
from tests.waiting import wait_for

LIMIT = 240.0  # seconds for anything that a client does


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=environment, check=False)


def told(*command: str | Path, **variables: str) -> str:
    """Standard output of a program that has to succeed."""
    done = run(*command, **variables)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@contextmanager
def docker_daemon(directory: Path) -> Iterator[str]:
    """The address of a Docker daemon that keeps all it has in `directory`."""
    if os.geteuid() != 0:
        pytest.skip("only root starts a Docker daemon")
    for program in ("dockerd", "docker", "script"):
        if not shutil.which(program):
            missing(program)
    (directory / "daemon.json").write_text("{}")
    address = f"unix://{directory}/docker.sock"
    command = [
        "dockerd", f"--config-file={directory}/daemon.json", f"--data-root={directory}/data",
        f"--exec-root={directory}/exec", f"--pidfile={directory}/pid", "-H", address, "--bridge=none",
        "--iptables=false",
    ]  # fmt: skip
    with (directory / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(
            "the Docker daemon answers",
            lambda: run("docker", "version", DOCKER_HOST=address).returncode == 0 or daemon.poll() is not None,
        )
        if daemon.poll() is not None:
            pytest.skip("Docker does not start here")
        yield address
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(LIMIT)
        # it leaves mounts behind, on which the removal of the directory would fail
        for left in ("exec/netns/default", "data"):
            run("umount", directory / left)
