"""kill -9 while uv solves or installs the pip part, and while a post-link script runs in the finished prefix."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import tiny_channel
from tests.acceptance.service import Service, serving
from tests.processes import is_running
from tests.waiting import wait_for
from tools.channel.serve import ChannelServer
from tools.channel.tiny import index, write_package

VICTIMS = ["job", "worker", "server"]
# uv asks for the metadata while it solves, and for the wheel while it installs
BACKEND = """
import base64, hashlib, pathlib, time, zipfile

METADATA = "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n"

def wait(step):
    deadline = time.monotonic() + 300
    if step == {step!r}:
        pathlib.Path({reached!r}).touch()
        while pathlib.Path({hold!r}).exists() and time.monotonic() < deadline:
            time.sleep(0.02)

def prepare_metadata_for_build_wheel(directory, config_settings=None):
    wait("solving")
    info = pathlib.Path(directory, "{name}-1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    return info.name

def build_wheel(directory, config_settings=None, metadata_directory=None):
    wait("pip")
    files = {{
        "{name}.py": "answer = 42\\n",
        "{name}-1.0.dist-info/METADATA": METADATA,
        "{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    record = "{name}-1.0.dist-info/RECORD"
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        lines.append(f"{{path}},sha256={{digest}},{{len(text)}}\\n")
    files[record] = "".join(lines) + f"{{record}},,\\n"
    with zipfile.ZipFile(pathlib.Path(directory, "{name}-1.0-py3-none-any.whl"), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return "{name}-1.0-py3-none-any.whl"
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "1.0"
dynamic = ["dependencies"]
"""


class Late:
    """A service, and two ways to keep a build in its last phases: as long as the file `hold` is there."""

    def __init__(self, directory: Path, channel: Path, service: Service) -> None:
        self.directory = directory
        self.channel = channel
        self.service = service
        self.hold = directory / "hold"
        self.reached = directory / "reached"
        self._count = 0

    def held_in(self, phase: str) -> int:
        """A build that is in the phase, and stays there."""
        self._count += 1
        name = f"held{self._count}"
        self.reached.unlink(missing_ok=True)
        self.hold.touch()
        specification = self.with_script(name) if phase == "finishing" else self.with_pip_part(name, phase)
        build_id = self.service.submit(specification)
        wait_for(f"build {build_id} is {phase}", self.reached.exists)
        self.service.in_phase(build_id, phase)
        return build_id

    def with_pip_part(self, name: str, step: str) -> str:
        files = {
            "pyproject.toml": PROJECT.format(name=name),
            "backend.py": BACKEND.format(name=name, step=step, reached=str(self.reached), hold=str(self.hold)),
            "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        }
        with tarfile.open(self.directory / "wheels" / f"{name}-1.0.tar.gz", "w:gz") as archive:
            for path, text in files.items():
                member = tarfile.TarInfo(f"{name}-1.0/{path}")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        return f"name: env\ndependencies: [python=3.11, {{pip: [{name}]}}]\n"

    def with_script(self, name: str) -> str:
        script = f"mktemp -d\ntouch {self.reached}\n"
        script += f"for _ in $(seq 3000); do [ -e {self.hold} ] || exit 0; sleep 0.1; done\n"
        write_package(self.channel, name, "1.0", files={"share/held.txt": "held\n"}, link_scripts={"post-link": script})
        index(self.channel)
        return f"name: env\ndependencies: [{name}]\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, real_channel: Path) -> Iterator[Late]:
    directory = tmp_path_factory.mktemp("late")
    (directory / "wheels").mkdir()
    channel = tiny_channel(directory / "channel")
    with (
        ChannelServer(channel) as tiny,
        ChannelServer(real_channel) as real,
        serving(
            directory / "s",
            conda_default_channels=[tiny.url, real.url],
            link_script_packages=["*"],
            pip_index_url="",
            pip_find_links=[str(directory / "wheels")],
        ) as service,
    ):
        yield Late(directory, channel, service)


@pytest.fixture
def late(running: Late) -> Late:
    service = running.service
    if service.process is None or service.process.poll() is not None:
        service.start()
    service.worker()
    return running


def kill(service: Service, victim: str) -> None:
    """The processes below the victim end with it."""
    worker = service.worker()
    family = service.family()
    if victim == "server":
        gone = service.kill()
    elif victim == "worker":
        os.kill(worker, signal.SIGKILL)
        gone = family - {service.pid}
    else:
        gone = {_job(service, worker)}
        os.kill(*gone, signal.SIGKILL)
    wait_for("its processes are gone", lambda: not any(map(is_running, gone)))


def _job(service: Service, worker: int) -> int:
    """The process that does the build: it has started a program that is not one of ours."""
    for pid in service.family() - {service.pid, worker}:
        with contextlib.suppress(OSError):  # the script's own children come and go
            parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
            if not _is_ours(pid) and _is_ours(parent):
                return parent
    raise AssertionError("neither uv nor the script is running")


def _is_ours(pid: int) -> bool:
    return b"multiprocessing" in Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("phase", ["solving", "pip", "finishing"])
def test_killed_late(late: Late, phase: str, victim: str) -> None:
    service = late.service
    build_id = late.held_in(phase)
    before = _active(service)
    kill(service, victim)
    late.hold.unlink()
    if victim == "server":
        service.start()
    assert _active(service) == before or service.build(build_id)["status"] == "COMPLETED"
    build = service.ended(build_id)
    assert build["status"] == "COMPLETED", service.log(build_id)
    # a worker whose server is gone gives the build back, which costs no attempt
    assert ("attempt 2 of" in service.log(build_id)) is (victim != "server")
    service.linked_to(build_id, "env")
    _works(late, phase, service.prefix(build_id))
    service.is_clean()


def _active(service: Service) -> Path | None:
    link = service.link("env")
    return link.readlink() if link.is_symlink() else None


def _works(late: Late, phase: str, prefix: Path) -> None:
    if phase == "finishing":
        assert (prefix / "share" / "held.txt").read_text() == "held\n"
    else:
        assert list(prefix.glob("lib/python3.11/site-packages/held*.py"))
