"""Images: making layers, answering for them, handing them out, and what they take on the disk."""

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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import downloads
from benchmarks.builds import MEMORY, ROOT, environments, has_memory, served_channel, summary
from benchmarks.image_layers import layer_works, layers, manifest, on_demand
from benchmarks.service import Service, service
from benchmarks.shared_storage import shared_storage

OCI = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
BASE = ROOT / ".cache" / "base-image.tar"
_MANIFESTS = 7  # from POST to manifest; each asks for another `python >=3.`


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--environment", default="large", choices=list(environments()))
    parser.add_argument("--requests", type=int, default=2000, help="manifests to ask for")
    options = parser.parse_args()
    # whatever ends it: servers are stopped, and directories removed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results: dict[str, Any] = {"storage": _told("storage", shared_storage())}
    with served_channel() as url, tempfile.TemporaryDirectory(prefix="bench-images-", dir=ROOT / ".cache") as work:
        specs = environments()[options.environment]
        base = f"--CondaStore.default_docker_base_image=tar:{BASE}"
        works = asyncio.run(layer_works(url, Path(work), specs))
        results["layers"] = _told("layers", layers(works, options.runs))
        compared = on_demand(works, Path(work) / "on-demand", base, specs, url, options.runs)
        results["on_demand"] = _told("on demand", compared)
        if has_memory():
            with tempfile.TemporaryDirectory(prefix="bench-images-", dir=MEMORY) as memory:
                works = asyncio.run(layer_works(url, Path(memory), specs))
                compared = on_demand(works, Path(memory) / "on-demand", base, specs, url, options.runs)
                results["on_demand_in_memory"] = _told("on demand, in memory", compared)
        with service(Path(work) / "service", base) as running:
            results["manifest"] = _told("from POST to the manifest", first_manifest(running, url, specs))
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


# --- manifests --------------------------------------------------------------------------------------------------


def first_manifest(running: Service, url: str, specs: Sequence[str]) -> dict[str, Any]:
    """From POST to a complete manifest where every package's layer is known, and what of it was solving."""
    running.wait(running.post("first", list(specs), url))
    manifest(running, "first")
    found: list[tuple[float, float]] = []
    for run in range(_MANIFESTS):
        name = f"again-{run}"
        os.sync()
        began = time.perf_counter()
        # another specification, so that it is solved
        build_id = running.post(name, [*specs, f"python >=3.{run}"], url)
        manifest(running, name)
        seconds = time.perf_counter() - began
        running.wait(build_id)
        found.append((seconds, _solve_seconds(running, build_id)))
    return {
        "post_to_manifest": summary([total for total, _ in found]),
        "solve": summary([solve for _, solve in found]),
        "beyond_solve": summary([total - solve for total, solve in found]),
    }


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
