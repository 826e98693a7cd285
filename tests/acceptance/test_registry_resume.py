"""Clients whose server is killed while they pull a large layer."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.clients import LIMIT, docker_daemon
from tests.acceptance.service import Service, serving
from tests.acceptance.slow_line import Line
from tests.waiting import wait_for
from tools.channel.tiny import File, index, write_package

pytestmark = [pytest.mark.acceptance, pytest.mark.channel]

LARGE, SMALL = 32_000_000, 9_600_000  # bytes, which cannot be compressed
RECEIVED = 20_000_000


@dataclass(frozen=True)
class Pulled:
    """A server with one image, and the line that clients reach it by."""

    service: Service
    line: Line
    digests: dict[int, str]

    @property
    def image(self) -> str:
        return f"localhost:{self.line.port}/default/large:latest"

    def restart_during(self, client: subprocess.Popen[str]) -> None:
        """kill -9 in the middle of the large layer, and a new server in its place; `received` counts from then on."""
        assert self.line.held.wait(LIMIT), client.poll()
        self.service.kill()
        self.line.cut()
        self.service.start()
        self.line.received = 0
        self.line.open()


def noise(name: str, size: int) -> bytes:
    return b"".join(hashlib.sha256(f"{name} {number}".encode()).digest() for number in range(size // 32))


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulled]:
    channel = tmp_path_factory.mktemp("channel")
    for name, size in (("large", LARGE), ("small", SMALL)):
        write_package(channel, name, "1.0", files={f"share/{name}": File(noise(name, size))})
    index(channel)
    options = {"conda_default_channels": [channel.as_uri()], "default_docker_base_image": "scratch"}
    with serving(tmp_path_factory.mktemp("s"), **options) as service:
        service.completed("name: large\ndependencies: [large, small]\n")
        layers = service.http.get("/v2/default/large/manifests/latest").json()["layers"]
        line = Line(lambda: service.http.base_url.port or 0)
        line.open()
        yield Pulled(service, line, {layer["size"]: layer["digest"] for layer in layers})
        line.close()


def started(*command: str | Path, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **variables}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def test_docker_goes_on_by_itself_where_it_was(pulled: Pulled, tmp_path_factory: pytest.TempPathFactory) -> None:
    with docker_daemon(tmp_path_factory.mktemp("d")) as address:  # a short path, for its sockets
        pulled.line.hold_at(RECEIVED)
        client = started("docker", "pull", pulled.image, DOCKER_HOST=address)
        pulled.restart_during(client)
        said, _ = client.communicate(timeout=LIMIT)
    assert client.returncode == 0, said
    # the rest of the large layer, and as much of the small one as there was still to be had
    assert pulled.line.received < LARGE + SMALL - RECEIVED / 2, said


def test_skopeo_asked_again_fetches_what_it_lacks(pulled: Pulled, tmp_path: Path) -> None:
    copy = ("skopeo", "copy", "--src-tls-verify=false", f"docker://{pulled.image}", f"oci:{tmp_path}/image:pulled")
    large, small = max(pulled.digests), sorted(pulled.digests)[-2]
    pulled.line.hold_at(RECEIVED)
    client = started(*copy)
    kept = tmp_path / "image/blobs/sha256" / pulled.digests[small][7:]
    wait_for("the small layer is there", kept.exists)
    pulled.restart_during(client)
    said, _ = client.communicate(timeout=LIMIT)
    assert client.returncode == 1, said
    again = started(*copy)
    said, _ = again.communicate(timeout=LIMIT)
    assert again.returncode == 0, said
    assert large < pulled.line.received < large + 100_000
    content = (tmp_path / "image/blobs/sha256" / pulled.digests[large][7:]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == pulled.digests[large][7:]
