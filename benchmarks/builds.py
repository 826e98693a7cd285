"""From POST to COMPLETED through the service, beside bare py-rattler on the same channel, in turns."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.service import Service, service
from tools.channel import make_channel

HERE = Path(__file__).parent
ROOT = HERE.parent
PACKAGES = HERE / "packages.toml"
IDLE_SECONDS = 20.0
MEMORY = Path("/dev/shm")
MEMORY_A_RUN = 8_000_000_000  # bytes: the large environment twice, and room


def has_memory() -> bool:
    """Whether there is enough to have everything of a benchmark in memory, where no disk is slow for a while."""
    return MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_A_RUN


def environments() -> dict[str, list[str]]:
    found: dict[str, list[str]] = tomllib.loads(PACKAGES.read_text())["environments"]
    return found


@contextmanager
def served_channel() -> Iterator[str]:
    """The benchmark's channel, served by a process of its own; gives its URL."""
    channel = make_channel(ROOT / ".cache" / "bench-channel", PACKAGES)
    command = [sys.executable, "-u", "-m", "tools.channel.serve", str(channel)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield next(word for word in process.stdout.readline().split() if word.startswith("http"))
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def bare(url: str, cache: Path, prefix: Path, specs: list[str]) -> float:
    command = [sys.executable, "-m", "benchmarks.bare", url, str(cache), str(prefix), *specs]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return float(done.stdout)


def built(running: Service, url: str, name: str, specs: list[str]) -> float:
    started = time.perf_counter()
    running.wait(running.post(name, specs, url))
    return time.perf_counter() - started


def summary(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def warm(url: str, work: Path, runs: int) -> dict[str, Any]:
    """Everything cached; the two in turns. Also from POST to BUILDING, and twenty builds at once."""
    results: dict[str, Any] = {}
    cache = work / "bare-cache"
    with service(work / "warm") as running:
        results["start_seconds"] = running.started_in
        results["idle"] = idle(running)
        for name, specs in environments().items():
            bare(url, cache, work / f"bare-{name}-0", specs)
            built(running, url, name, specs)
            pairs = [
                (bare(url, cache, work / f"bare-{name}-{run}", specs), built(running, url, name, specs))
                for run in range(1, runs + 1)
            ]
            results[name] = {
                "bare": summary([pair[0] for pair in pairs]),
                "service": summary([pair[1] for pair in pairs]),
                "difference": summary([pair[1] - pair[0] for pair in pairs]),
            }
        results["post_to_building"] = summary([_until_building(running, url) for _ in range(30)])
        results["twenty_at_once"] = twenty_at_once(running, url)
    return results


def _until_building(running: Service, url: str) -> float:
    """Seconds; both clocks are this machine's."""
    posted = datetime.now(UTC)
    build = running.wait(running.post("small", environments()["small"], url))
    return (datetime.fromisoformat(build["started_on"]).replace(tzinfo=UTC) - posted).total_seconds()


def twenty_at_once(running: Service, url: str) -> dict[str, float]:
    specs = environments()["medium"]
    single = statistics.median([built(running, url, "medium", specs) for _ in range(3)])
    started = time.perf_counter()
    submitted = [running.post(f"medium{number}", specs, url) for number in range(20)]
    for build_id in submitted:
        running.wait(build_id)
    together = time.perf_counter() - started
    return {"single": single, "together": together, "ratio": together / (20 * single)}


def idle(running: Service) -> dict[str, float]:
    """A fresh service that nobody asks anything: share of one processor, and memory in MB."""
    time.sleep(3)
    before, began = running.processor_seconds(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    spent = running.processor_seconds() - before
    return {"processor": spent / (time.monotonic() - began), "memory_mb": running.memory() / 1e6}


def cold(url: str, work: Path, runs: int) -> dict[str, Any]:
    """Nothing cached; every run has directories of its own, and nothing is deleted between runs, but in memory.

    A disk is at rest when nothing was deleted on it in the last minutes: ext4 makes files slowly after that. `runs` are
    those of the large environment; the others, which are more at the mercy of the disk, get twice as many.
    """
    results = {}
    for name, specs in environments().items():
        pairs = []
        for run in range(runs if name == "large" else 2 * runs):
            here = work / f"cold-{name}-{run}"
            # what one has written is on the disk before the other begins, and each is the first in turn
            if run % 2:
                through = _cold_service(here, url, name, specs)
                alone = _cold_bare(here, url, specs)
            else:
                alone = _cold_bare(here, url, specs)
                through = _cold_service(here, url, name, specs)
            print(f"{name}, cold: bare {alone:.2f}, service {through:.2f}", file=sys.stderr, flush=True)
            pairs.append((alone, through))
            if work.is_relative_to(MEMORY):
                shutil.rmtree(here)
        results[name] = {
            "bare": summary([pair[0] for pair in pairs]),
            "service": summary([pair[1] for pair in pairs]),
            "ratio": summary([pair[1] / pair[0] for pair in pairs]),
        }
    return results


def _cold_bare(here: Path, url: str, specs: list[str]) -> float:
    os.sync()
    return bare(url, here / "cache", here / "prefix", specs)


def _cold_service(here: Path, url: str, name: str, specs: list[str]) -> float:
    os.sync()
    with service(here / "service") as running:
        time.sleep(2)
        return built(running, url, name, specs)


def archive(url: str, work: Path, runs: int) -> dict[str, Any]:
    """The archive of the large environment beside GNU tar piped into ISA-L gzip at level 2, and unpacking both."""
    from conda_store.artifacts.archive import write_archive
    from conda_store.domain.lock import PlatformLock
    from conda_store.domain.platform import Platform

    prefix = work / "archive-prefix"
    bare(url, work / "bare-cache", prefix, environments()["large"])
    ours: list[float] = []
    theirs: list[float] = []
    unpack_ours: list[float] = []
    unpack_theirs: list[float] = []
    for run in range(runs):
        plain, packed = work / f"plain-{run}.tar.gz", work / f"packed-{run}.tar.gz"
        started = time.perf_counter()
        script = f'tar -C "{prefix}" -cf - . | "{sys.executable}" -m isal.igzip -2 > "{plain}"'
        subprocess.run(["bash", "-o", "pipefail", "-c", script], check=True)
        theirs.append(time.perf_counter() - started)
        started = time.perf_counter()
        write_archive(prefix, PlatformLock(Platform.LINUX_64), packed)
        ours.append(time.perf_counter() - started)
        for file, into, kept in ((plain, "plain", unpack_theirs), (packed, "packed", unpack_ours)):
            target = work / f"unpack-{into}-{run}"
            target.mkdir()
            started = time.perf_counter()
            subprocess.run(["tar", "-C", str(target), "-xzf", str(file)], check=True)
            kept.append(time.perf_counter() - started)
    return {
        "tar_and_isal": summary(theirs),
        "service": summary(ours),
        "ratio": statistics.median(ours) / statistics.median(theirs),
        "unpack_tar_and_isal": summary(unpack_theirs),
        "unpack_service": summary(unpack_ours),
        "size_ratio": packed.stat().st_size / plain.stat().st_size,
    }


@contextmanager
def workplace(parent: Path = ROOT / ".cache") -> Iterator[Path]:
    work = parent / f"conda-store-bench-{int(time.time())}"
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run_warm(runs: int) -> dict[str, Any]:
    with workplace() as work, served_channel() as url:
        return {"warm": warm(url, work, runs), "archive": archive(url, work, 2)}


def run_cold(runs: int) -> dict[str, Any]:
    """On the disk; and in memory where there is enough, which shows what the processor has to do."""
    with served_channel() as url:
        with workplace() as work:
            results = {"cold": cold(url, work, runs)}
        if has_memory():
            with workplace(MEMORY) as work:
                results["cold_in_memory"] = cold(url, work, runs)
    return results
