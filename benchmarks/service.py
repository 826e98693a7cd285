"""A conda-store as its users start it, for measuring: `conda-store serve` with its data in a directory of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

_START_SECONDS = 60.0


@dataclass
class Service:
    """`started_in` is the seconds from the start of the program to its first answer."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    started_in: float

    def post(self, name: str, dependencies: list[str], channel: str) -> int:
        text = yaml.safe_dump({"name": name, "channels": [channel], "dependencies": dependencies})
        answer = self.client.post("/api/v1/specification/", json={"namespace": "bench", "specification": text})
        return int(answer.raise_for_status().json()["data"]["build_id"])

    def get(self, build_id: int) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/api/v1/build/{build_id}/").raise_for_status().json()["data"]
        return found

    def wait(self, build_id: int, seconds: float = 600) -> dict[str, Any]:
        """Follow a build's events to its end, as the command line does.

        Raises:
            RuntimeError: it did not complete.
        """
        url = f"/api/v1/build/{build_id}/events/?logs=false"
        with self.client.stream("GET", url, timeout=seconds) as events:
            for line in events.iter_lines():
                if line == "event: end":
                    break
        build = self.get(build_id)
        if build["status"] != "COMPLETED":
            raise RuntimeError(f"build {build_id} is {build['status']}: {build['status_info']}")
        return build

    def processes(self) -> list[int]:
        """The server, the worker and their children."""
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        return found

    def memory(self) -> int:
        """Proportional set size of all its processes, in bytes."""
        total = 0
        for pid in self.processes():
            match = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
            total += int(match[1]) * 1024 if match else 0
        return total

    def processor_seconds(self) -> float:
        """User and system time of all its processes so far."""
        ticks = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def service(data: Path, *options: str) -> Iterator[Service]:
    """Start it and wait for its first answer; stop it at the end."""
    data.mkdir(parents=True)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "XDG_DATA_HOME": str(data / "share"),
        "XDG_CONFIG_HOME": str(data / "config"),
    }
    log = data / "log"
    command = [str(Path(sys.executable).with_name("conda-store")), "serve", "--port=0",
               "--CondaStore.storage_threshold=0", "--CondaStoreWorker.index_channels=False", *options]  # fmt: skip
    began = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        url = _first_answer(process, log)
        started_in = time.perf_counter() - began
        remembered = json.loads((data / "config" / "conda-store" / "credentials.json").read_text())
        token = next(iter(remembered.values()))["token"]
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
            yield Service(process, client, started_in)
    finally:
        process.terminate()
        process.wait(30)


def _first_answer(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        match = re.search(r"conda-store is served at (\S+?)/?$", log.read_text(), re.M)
        if match:
            try:
                httpx.get(f"{match[1]}/api/v1/", timeout=5).raise_for_status()
            except httpx.HTTPError:
                pass
            else:
                return match[1]
        time.sleep(0.01)
    raise RuntimeError(f"the service does not answer:\n{log.read_text()[-2000:]}")
