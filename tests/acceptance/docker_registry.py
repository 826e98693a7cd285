"""Debian's docker-registry, which wants a login."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.conftest import missing
from tests.ports import Port
from tests.waiting import PATIENCE, wait_for

USER, PASSWORD = "porter", "open sesame"
_HTPASSWD = "porter:$2b$04$jejL6QpSkMZUVrd43kb.S.zCbquu5x638/PJJNqdHq3KUZqRAOK5G\n"


@dataclass
class DockerRegistry:
    """`logins` is a file as `docker login` writes it."""

    host: str
    log: Path
    logins: Path

    @property
    def http(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://{self.host}/v2", auth=(USER, PASSWORD), timeout=PATIENCE)

    def requests(self, text: str) -> int:
        """How many requests of this kind have been answered."""
        return self.log.read_text().count(text)


@contextmanager
def docker_registry(directory: Path) -> Iterator[DockerRegistry]:
    if shutil.which("docker-registry") is None:
        missing("the program docker-registry")
    directory.mkdir(parents=True)
    (directory / "htpasswd").write_text(_HTPASSWD)
    with Port() as port, _serving(directory, port) as registry:
        yield registry


@contextmanager
def _serving(directory: Path, port: int) -> Iterator[DockerRegistry]:
    host = f"localhost:{port}"
    config = {
        "version": 0.1,
        "log": {"level": "info", "formatter": "text"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "of no use"},
        "auth": {"htpasswd": {"realm": "here", "path": str(directory / "htpasswd")}},
    }
    (directory / "config.json").write_text(json.dumps(config))
    logins = directory / "logins.json"
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    logins.write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["docker-registry", "serve", directory / "config.json"], stdout=output, stderr=output
        )
    try:

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return httpx.get(f"http://{host}/v2/", timeout=PATIENCE).status_code == httpx.codes.UNAUTHORIZED
            except httpx.HTTPError:
                return False

        wait_for("the registry answers", answers)
        yield DockerRegistry(host, log, logins)
    finally:
        process.terminate()
        process.wait(PATIENCE)
