"""Images: making layers, answering for them, handing them out, and what they take on the disk.

Every part gives processor seconds beside seconds, since the machine may be busy with other things.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from isal import isal_zlib

from benchmarks import downloads
from benchmarks.builds import ROOT, environments, served_channel, summary
from benchmarks.service import Service, service
from benchmarks.shared_storage import shared_storage
from conda_store.artifacts.oci.layer_processes import LayerWork, written_layers
from conda_store.builder.engine import RattlerBuilder
from conda_store.builder.ports import SolveRequest
from conda_store.domain.image import image_python, plan_layers
from conda_store.domain.lock import PlatformLock
from conda_store.domain.platform import current_platform
from conda_store.domain.specification import Specification
from conda_store.services.solving import Silent

OCI = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
BASE = ROOT / ".cache" / "base-image.tar"
BUDGET = 92
_BLOCK = 256 << 10
_MANIFESTS = 7  # from POST to manifest; each asks for another `python >=3.`


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--environment", default="large", choices=list(environments()))
    parser.add_argument("--requests", type=int, default=2000, help="manifests to ask for")
    options = parser.parse_args()
    # whatever ends it: servers are stopped, and directories removed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results: dict[str, Any] = {"storage": _told("storage", shared_storage())}
    with served_channel() as url, tempfile.TemporaryDirectory(prefix="bench-images-", dir=ROOT / ".cache") as work:
        specs = environments()[options.environment]
        results["layers"] = _told("layers", layers(url, Path(work), specs, options.runs))
        base = f"--CondaStore.default_docker_base_image=tar:{BASE}"
        with service(Path(work) / "service", base) as running:
            found = first_manifest(running, url, specs)
            found["on_demand_ratio"] = found["layers_made_seconds"] / results["layers"]["compressed_seconds"]["median"]
            results["manifest"] = _told("from POST to the manifest", found)
            results["manifest"] |= _told("manifests", manifest_requests(running, options.requests))
            results["downloads"] = _told("blobs", downloads.compared(running, Path(work) / "downloads", options.runs))
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
        print("removing what was made for this", flush=True)
    return 0


def _told(what: str, found: dict[str, Any]) -> dict[str, Any]:
    """Figures are shown as soon as they are there."""
    for name, value in _flat(found).items():
        print(f"{what}: {name.replace('_', ' ')} {value:.3f}", flush=True)
    return found


def _flat(found: Mapping[str, Any], before: str = "") -> dict[str, float]:
    values: dict[str, float] = {}
    for name, value in found.items():
        values |= _flat(value, f"{before}{name} ") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return values


# --- making layers ----------------------------------------------------------------------------------------------


def layers(url: str, work: Path, specs: Sequence[str], runs: int) -> dict[str, Any]:
    """The layers of an environment, beside reading and compressing the same files once; in turns, by as many processes,
    with the same compressor. Those that compress have started before the clock does."""
    lock, directories = asyncio.run(_extracted(url, work / "packages", specs))
    python = image_python(lock)
    target = work / "layer-files"
    target.mkdir()
    works = [
        LayerWork(
            plan, {package.name: directories[package.name] for package in plan.packages}, python, target / str(at)
        )
        for at, plan in enumerate(plan_layers(lock, BUDGET))
    ]

    def make() -> int:
        return sum(layer.written.size for _, layer in written_layers(works))

    results: dict[str, list[dict[str, float]]] = {"made": [], "compressed": []}
    make()  # what is read is in memory from here on
    _emptied(target)
    for _ in range(runs):
        with ProcessPoolExecutor(os.cpu_count() or 1) as processes:
            list(processes.map(abs, range(os.cpu_count() or 1)))
            results["compressed"].append(_timed_making(partial(_all_compressed, processes, works)))
        _emptied(target)
        results["made"].append(_timed_making(make))
        _emptied(target)
    return {
        "layers": len(works),
        "packages": len(lock.conda),
        **{
            f"{name}_{unit}": summary([run[unit] for run in found])
            for name, found in results.items()
            for unit in ("seconds", "megabytes")
        },
        "ratio": _median_ratio(results, "seconds"),
    }


def _median_ratio(results: dict[str, list[dict[str, float]]], unit: str) -> float:
    pairs = zip(results["made"], results["compressed"], strict=True)
    return summary([made[unit] / compressed[unit] for made, compressed in pairs])["median"]


async def _extracted(url: str, cache: Path, specs: Sequence[str]) -> tuple[PlatformLock, dict[str, Path]]:
    builder = RattlerBuilder(cache)
    request = SolveRequest(Specification("bench", (url,), tuple(specs)), (current_platform(),), url)
    lock = (await builder.solve(request, Silent())).platforms[0]
    found = await builder.extracted(lock, cache / "scratch", Silent())
    await builder.close()
    return lock, dict(found)


def _timed_making(work: Callable[[], int]) -> dict[str, float]:
    began = time.perf_counter()
    size = work()
    return {"seconds": time.perf_counter() - began, "megabytes": size / 1e6}


def _all_compressed(processes: ProcessPoolExecutor, works: Sequence[LayerWork]) -> int:
    return sum(processes.map(_compressed, sorted(works, key=lambda work: -work.size)))


def _compressed(work: LayerWork) -> int:
    """Bytes of all files of its packages, one after the other, as one gzip stream."""
    compressor = isal_zlib.compressobj(2, isal_zlib.DEFLATED, 31)
    block = memoryview(bytearray(_BLOCK))
    used = size = 0
    with work.file.open("wb", buffering=0) as file:
        for directory in work.directories.values():
            for path in _files(str(directory)):
                descriptor = os.open(path, os.O_RDONLY)
                while count := os.readv(descriptor, [block[used:]]):
                    used += count
                    if used == _BLOCK:
                        data = compressor.compress(block)
                        size, used = size + len(data), 0
                        file.write(data)
                os.close(descriptor)
        data = compressor.compress(block[:used]) + compressor.flush()
        file.write(data)
    return size + len(data)


def _emptied(directory: Path) -> None:
    for file in directory.iterdir():
        file.unlink()


def _files(directory: str) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        if folder == directory:
            folders.remove("info")
        for path in (f"{folder}/{name}" for name in names):
            if not os.path.islink(path):  # noqa: PTH114 - tens of thousands of them
                yield path


# --- manifests --------------------------------------------------------------------------------------------------


def first_manifest(running: Service, url: str, specs: Sequence[str]) -> dict[str, Any]:
    """From POST to a complete manifest where every package's layer is known, and what of it was solving. Before that:
    how long an image takes whose packages are in the cache, and whose layers are not known."""
    running.wait(running.post("first", list(specs), url))
    os.sync()
    began = time.perf_counter()
    _manifest(running, "first")
    layers_made = time.perf_counter() - began
    found: list[tuple[float, float]] = []
    for run in range(_MANIFESTS):
        name = f"again-{run}"
        os.sync()
        began = time.perf_counter()
        # another specification, so that it is solved
        build_id = running.post(name, [*specs, f"python >=3.{run}"], url)
        _manifest(running, name)
        seconds = time.perf_counter() - began
        running.wait(build_id)
        found.append((seconds, _solve_seconds(running, build_id)))
    return {
        "layers_made_seconds": layers_made,
        "post_to_manifest": summary([total for total, _ in found]),
        "solve": summary([solve for _, solve in found]),
        "beyond_solve": summary([total - solve for total, solve in found]),
    }


def _manifest(running: Service, name: str) -> dict[str, Any]:
    answer = running.client.get(f"/v2/bench/{name}/manifests/latest", headers=OCI, timeout=600)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def _solve_seconds(running: Service, build_id: int) -> float:
    text = running.client.get(f"/api/v1/build/{build_id}/logs/", follow_redirects=True).text
    words = next(line for line in text.splitlines() if "lock: completed in" in line).split()
    return float(words[words.index("in") + 1])


def manifest_requests(running: Service, number: int) -> dict[str, Any]:
    """Milliseconds of a GET, one after the other on one connection, by tag and by digest."""
    digest = running.client.head("/v2/bench/first/manifests/latest", headers=OCI).headers["Docker-Content-Digest"]
    found = {}
    for kind, reference in (("tag", "latest"), ("digest", digest)):
        before = running.processor_seconds()
        times = _timed(running, f"/v2/bench/first/manifests/{reference}", number)
        found[f"get_by_{kind}_ms"] = {
            "median": times[len(times) // 2] * 1000,
            "p95": times[len(times) * 95 // 100] * 1000,
            "p99": times[len(times) * 99 // 100] * 1000,
            "processor": (running.processor_seconds() - before) / number * 1000,
        }
    return found


def _timed(running: Service, path: str, number: int) -> list[float]:
    address = urlsplit(str(running.client.base_url)).netloc
    headers = {**OCI, "Authorization": running.client.headers["Authorization"]}
    connection = http.client.HTTPConnection(address, timeout=60)
    times = []
    for _ in range(number):
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()
    return sorted(times)


if __name__ == "__main__":
    sys.exit(main())
