"""Making layers, alone and through the service, beside compressing the same files: in turns, by as many processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from isal import isal_zlib

from benchmarks.builds import summary
from benchmarks.service import Service, service
from conda_store.artifacts.oci.layer_processes import LayerProcesses
from conda_store.artifacts.oci.layer_work import LayerWork
from conda_store.builder.engine import RattlerBuilder
from conda_store.builder.ports import SolveRequest
from conda_store.domain.image import image_python, plan_layers
from conda_store.domain.platform import current_platform
from conda_store.domain.specification import Specification
from conda_store.services.solving import Silent

_BUDGET = 92
_BLOCK = 256 << 10


def layers(works: Sequence[LayerWork], runs: int) -> dict[str, Any]:
    """The layers, beside reading and compressing the same files once."""
    _make(works)  # what is read is in memory from here on
    found = []
    for _ in range(runs):
        compressing = _compressing(works)
        _remove_files(works)
        found.append((_seconds(lambda: _make(works)), compressing))
    return {
        "layers": len(works),
        "packages": sum(len(work.plan.packages) for work in works),
        "megabytes": sum(work.file.stat().st_size for work in works) / 1e6,
        **_compared(found),
    }


def on_demand(
    works: Sequence[LayerWork], directory: Path, option: str, specs: Sequence[str], url: str, runs: int
) -> dict[str, Any]:
    """From asking for an image whose packages are in the cache, and none of whose layers is known, to its manifest;
    beside compressing. A service of its own for each, with `option`, below `directory`."""
    found = []
    for run in range(runs):
        with service(directory / str(run), option) as running:
            running.wait(running.post("first", list(specs), url))
            os.sync()
            found.append((_seconds(partial(manifest, running, "first")), _compressing(works)))
    return _compared(found)


def manifest(running: Service, name: str) -> dict[str, Any]:
    """The manifest of an environment's image, made where it is not there."""
    headers = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    answer = running.client.get(f"/v2/bench/{name}/manifests/latest", headers=headers, timeout=600)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


async def layer_works(url: str, directory: Path, specs: Sequence[str]) -> list[LayerWork]:
    """The layers of an environment's image, their packages being in a cache below the directory."""
    builder = RattlerBuilder(directory / "packages")
    request = SolveRequest(Specification("bench", (url,), tuple(specs)), (current_platform(),), url)
    lock = (await builder.solve(request, Silent())).platforms[0]
    found = await builder.extracted(lock, directory / "scratch", Silent())
    await builder.close()
    python = image_python(lock)
    target = directory / "layer-files"
    target.mkdir()
    return [
        LayerWork(plan, {package.name: found[package.name] for package in plan.packages}, python, target / str(at))
        for at, plan in enumerate(plan_layers(lock, _BUDGET))
    ]


def _compared(found: Sequence[tuple[float, float]]) -> dict[str, Any]:
    return {
        "seconds": summary([seconds for seconds, _ in found]),
        "compressing": summary([compressing for _, compressing in found]),
        "ratio": summary([seconds / compressing for seconds, compressing in found]),
    }


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _make(works: Sequence[LayerWork]) -> None:
    with LayerProcesses([work.plan for work in works]) as processes:
        for _ in processes.written(works):
            pass


def _compressing(works: Sequence[LayerWork]) -> float:
    """Seconds that compressing takes once; its processes have started before the clock does."""
    _remove_files(works)
    with ProcessPoolExecutor(os.cpu_count() or 1) as processes:
        list(processes.map(abs, range(os.cpu_count() or 1)))
        largest_first = sorted(works, key=lambda work: -work.plan.size)
        return _seconds(lambda: list(processes.map(_compressed, largest_first)))


def _remove_files(works: Sequence[LayerWork]) -> None:
    """Removing is not part of making."""
    for work in works:
        work.file.unlink(missing_ok=True)


def _compressed(work: LayerWork) -> None:
    """All files of its packages, one after the other, as one gzip stream."""
    compressor = isal_zlib.compressobj(2, isal_zlib.DEFLATED, 31)
    block = memoryview(bytearray(_BLOCK))
    used = 0
    with work.file.open("wb", buffering=0) as file:
        for directory in work.directories.values():
            for path in _files(str(directory)):
                descriptor = os.open(path, os.O_RDONLY)
                while count := os.readv(descriptor, [block[used:]]):
                    used += count
                    if used == _BLOCK:
                        file.write(compressor.compress(block))
                        used = 0
                os.close(descriptor)
        file.write(compressor.compress(block[:used]) + compressor.flush())


def _files(directory: str) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        if folder == directory:
            folders.remove("info")
        for path in (f"{folder}/{name}" for name in names):
            if not os.path.islink(path):  # noqa: PTH114 - tens of thousands of them
                yield path
