"""Blobs from our registry, from Debian's docker-registry and from nginx, by one client and by sixteen."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.builds import summary
from benchmarks.service import Service
from conda_store.artifacts.oci.layouts import image_of, push
from conda_store.artifacts.oci.remote import Login, Remote, RemoteManifest

OCI = "application/vnd.oci.image.manifest.v1+json"
_CLIENTS = (1, 16)
_TIMES = 4  # that each client fetches the blob


@dataclass(frozen=True)
class Server:
    """`pids` are those of the server's processes, without such that only build."""

    name: str
    url: str
    pids: tuple[int, ...]
    header: str = ""


def compared(running: Service, work: Path, runs: int) -> dict[str, Any]:
    """Megabytes a second, processor seconds of the server for a gigabyte, and its memory (PSS, MB) at most."""
    manifest = running.client.get("/v2/bench/first/manifests/latest", headers={"Accept": OCI}).raise_for_status()
    digest, size = max(((layer["digest"], layer["size"]) for layer in manifest.json()["layers"]), key=lambda x: x[1])
    authorization = running.client.headers["Authorization"]
    ours = Server(
        "conda-store",
        f"{str(running.client.base_url).rstrip('/')}/v2/bench/first/blobs/{digest}",
        (running.process.pid,),
        f"Authorization: {authorization}",
    )
    login = Login("bench", authorization.partition(" ")[2])
    source = Remote(str(running.client.base_url).rstrip("/"), "bench/first", login)
    work.mkdir()
    results: dict[str, Any] = {"blob_megabytes": size / 1e6}
    with _docker_registry(work / "registry") as registry, _nginx(work / "nginx", source, digest) as nginx:
        _fill(registry, source, manifest, digest)
        servers = (ours, _named(registry, f"/v2/bench/first/blobs/{digest}"), nginx)
        for clients in _CLIENTS:
            found: dict[str, list[dict[str, float]]] = {server.name: [] for server in servers}
            for _ in range(runs):
                for server in servers:
                    found[server.name].append(_fetched(server, digest, size, clients))
            results[f"clients_{clients}"] = {
                name: {unit: summary([run[unit] for run in measured]) for unit in measured[0]}
                for name, measured in found.items()
            }
    return results


def _fetched(server: Server, digest: str, size: int, clients: int) -> dict[str, float]:
    url = [server.url] * _TIMES
    command = ["curl", "-sSf", "-L", *(["-H", server.header] if server.header else []), *_discarded(url)]
    before = _processor_seconds(server.pids)
    peak = _Peak(server.pids)
    began = time.perf_counter()
    with peak:
        running = [subprocess.Popen(command) for _ in range(clients)]
        statuses = [process.wait() for process in running]
    seconds = time.perf_counter() - began
    if any(statuses):
        raise RuntimeError(f"{server.name} did not serve {digest}")
    moved = size * _TIMES * clients
    spent = _processor_seconds(server.pids) - before
    return {"megabytes_a_second": moved / 1e6 / seconds, "processor_a_gigabyte": spent / (moved / 1e9),
            "memory_megabytes": peak.bytes / 1e6}  # fmt: skip


def _discarded(urls: list[str]) -> list[str]:
    return [item for url in urls for item in ("-o", "/dev/null", url)]


class _Peak:
    """The most memory that processes take together, looked at twenty times a second."""

    def __init__(self, pids: tuple[int, ...]) -> None:
        self.bytes = 0
        self._pids = pids
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(0.05):
            self.bytes = max(self.bytes, sum(_memory(pid) for pid in self._pids))


def _memory(pid: int) -> int:
    try:
        match = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0


def _processor_seconds(pids: tuple[int, ...]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _named(server: Server, path: str) -> Server:
    return Server(server.name, server.url + path, server.pids)


@contextmanager
def _docker_registry(directory: Path) -> Iterator[Server]:
    port = _free_port()
    directory.mkdir()
    config = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "x"},
    }
    (directory / "config.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        ["docker-registry", "serve", directory / "config.json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _await(f"http://127.0.0.1:{port}/v2/")
        yield Server("docker-registry", f"http://127.0.0.1:{port}", (process.pid,))
    finally:
        process.terminate()
        process.wait(20)


def _fill(registry: Server, source: Remote, manifest: httpx.Response, digest: str) -> None:
    """An image of the one layer: nobody reads what is in it."""
    document = manifest.json()
    document["layers"] = [layer for layer in document["layers"] if layer["digest"] == digest]
    top = RemoteManifest(json.dumps(document).encode(), OCI)
    target = Remote(registry.url, "bench/first")
    push(image_of(top, source.manifest), source.blob, target, "1")


@contextmanager
def _nginx(directory: Path, source: Remote, digest: str) -> Iterator[Server]:
    port = _free_port()
    # nginx gives up its rights, and its new user has to get there
    root = Path(tempfile.mkdtemp(prefix="bench-nginx-", dir="/tmp"))
    root.chmod(0o755)
    directory.mkdir()
    seen = hashlib.sha256()
    with (root / "blob").open("wb") as file:
        for chunk in source.blob(digest):
            seen.update(chunk)
            file.write(chunk)
    (directory / "nginx.conf").write_text(
        f"worker_processes 2; error_log {directory}/error.log; pid {directory}/pid; events {{}}\n"
        f"http {{ sendfile on; access_log off; server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
    )
    process = subprocess.Popen(["nginx", "-c", directory / "nginx.conf", "-g", "daemon off;"])
    try:
        _await(f"http://127.0.0.1:{port}/blob")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield Server("nginx", f"http://127.0.0.1:{port}/blob", (process.pid, *map(int, children)))
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(root)


def _await(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if httpx.head(url).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")
