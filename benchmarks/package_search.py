"""How fast packages are indexed and searched, on a channel of synthetic records.

    python benchmarks/package_search.py [--names 25000] [--versions 20] [--json FILE] [--keep DIRECTORY]

The channel is the same in every run: names put together from common words, `versions` versions of each, in noarch and
linux-64, and 78 more builds of one package. Times are of whole calls, in milliseconds; `cpu` is what a call costs its
thread, which says more than the others on a machine that does something else meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import hashlib
import json
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from conda_store.builder.package_index import PackageIndex, PackageQuery

WORDS = (  # noqa: SIM905 - easier to read
    "py python num pan lib r data io xml http core test json yaml net graph ml geo bio sci tool kit ext fast ray flow "
    "async type web auth cloud image text parse math stat plot file time date crypt queue cache log cli jupyter conda"
).split()
EXTRA_BUILDS = 78
POPULAR = "numpy"

Record = dict[str, object]


def make_names(count: int) -> list[str]:
    """So many different names, ascending; about one in ten has `py` in it."""
    dice = random.Random(count)
    names = {POPULAR}
    while len(names) < count:
        name = "-".join(dice.choice(WORDS) for _ in range(dice.randint(1, 3)))
        names.add(f"{name}{dice.randint(2, 999)}" if dice.random() < 0.7 else name)
    return sorted(names)


def records(names: list[str], versions: int) -> Iterator[tuple[str, Record]]:
    """Subdir and record, in the order in which repodata has them."""
    for name in names:
        subdir = "noarch" if hashlib.sha256(name.encode()).digest()[0] % 3 == 0 else "linux-64"
        for number in range(versions):
            version = f"{number // 12}.{number % 12}.{number * 7 % 13}"
            builds = 1 + (EXTRA_BUILDS if name == POPULAR and number == versions - 1 else 0)
            for build_number in range(builds):
                yield subdir, make_record(name, version, build_number, subdir, number)


def make_record(name: str, version: str, build_number: int, subdir: str, number: int) -> Record:
    digest = hashlib.sha256(f"{name} {version} {build_number}".encode()).hexdigest()
    python = "pyh" if subdir == "noarch" else f"py3{10 + number % 4}h"
    return {
        "build": f"{python}{digest[:7]}_{build_number}",
        "build_number": build_number,
        "depends": ["python >=3.11,<3.12.0a0", "numpy >=1.20", "requests", "libgcc >=13"],
        "license": ("MIT", "BSD-3-Clause", "Apache-2.0", "GPL-3.0-or-later")[len(name) % 4],
        "md5": digest[:32],
        "name": name,
        "sha256": digest,
        "size": 10_000 + number,
        "subdir": subdir,
        "timestamp": 1_700_000_000_000 + number,
        "version": version,
    }


def write_channel(root: Path, names: int, versions: int) -> int:
    """Write both repodata.json; how many records they hold."""
    count = 0
    with contextlib.ExitStack() as stack:
        files = {}
        for subdir in ("noarch", "linux-64"):
            (root / subdir).mkdir(parents=True, exist_ok=True)
            files[subdir] = stack.enter_context((root / subdir / "repodata.json").open("w"))
            files[subdir].write(f'{{"info":{{"subdir":"{subdir}"}},"packages":{{}},"packages.conda":{{')
        separators = dict.fromkeys(files, "")
        for subdir, record in records(make_names(names), versions):
            file_name = f"{record['name']}-{record['version']}-{record['build']}.conda"
            files[subdir].write(f"{separators[subdir]}\n{json.dumps(file_name)}:{json.dumps(record)}")
            separators[subdir] = ","
            count += 1
        for file in files.values():
            file.write('},"repodata_version":1}')
    return count


def name_requests(search: str) -> list[PackageQuery]:
    """What the user interface asks for while somebody types: first page, a deep one, the last ones."""
    return [PackageQuery(search=search, distinct_on=("name",), page=page) for page in (1, 2, 10, 20, 100)]


def version_request(name: str) -> PackageQuery:
    """What the user interface asks for once a package is chosen."""
    return PackageQuery(search=name, exact="true", distinct_on=("version",), order="desc", sort_by=("version",))


def workloads(names: list[str], last_page: int) -> dict[str, list[PackageQuery]]:
    dice = random.Random(1)
    pages = [1, 2, last_page // 2, last_page]
    return {
        "names, as typed": [
            query for text in ("py", "nu", "num", "a", "jupyter", "zz") for query in name_requests(text)
        ],
        "versions of a name": [version_request(name) for name in [POPULAR, *dice.sample(names, 30)]],
        "all packages": [PackageQuery(page=page, order=order) for page in pages for order in ("asc", "desc")],
        "all names": [PackageQuery(page=page, distinct_on=("name",)) for page in (1, 10, 100, 250)],
        "search, no distinct": [PackageQuery(search=text, page=page) for text in ("py", "o") for page in (1, 100, 400)],
        "by name, all": [PackageQuery(sort_by=("name",), order="desc", page=page) for page in pages],
        "by version, search": [PackageQuery(sort_by=("version",), search="py", page=page) for page in (1, 100, 400)],
        "by version, all": [PackageQuery(sort_by=("version",), page=page) for page in pages],
        "distinct versions": [PackageQuery(search="py", distinct_on=("version",))],
        "build, search": [PackageQuery(search="py", build="py311h")],
        "build, all": [PackageQuery(build="a7")],
    }


def measure(index: PackageIndex, queries: list[PackageQuery], rounds: int, threads: int) -> dict[str, float]:
    """Milliseconds of a call."""

    def call(query: PackageQuery) -> tuple[float, float]:
        begun, begun_cpu = time.perf_counter(), time.thread_time()
        index.search(query)
        return (time.perf_counter() - begun) * 1000, (time.thread_time() - begun_cpu) * 1000

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        measured = list(pool.map(call, queries * rounds))
    times, cpu = sorted(wall for wall, _ in measured), sorted(each for _, each in measured)
    figures = {"median": statistics.median(times), "p95": percentile(times, 0.95), "max": times[-1]}
    figures |= {"cpu median": statistics.median(cpu), "cpu p95": percentile(cpu, 0.95)}
    return {what: round(figure, 1) for what, figure in figures.items()}


def percentile(ascending: list[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]


def peak_memory(whose: int) -> float:
    """Megabytes."""
    return resource.getrusage(whose).ru_maxrss / 1024


def timed_refresh(index: PackageIndex, channel: Path) -> float:
    """Seconds."""
    begun = time.perf_counter()
    asyncio.run(index.refresh([channel.as_uri()], ["linux-64"]))
    return time.perf_counter() - begun


def run(root: Path, names: int, versions: int) -> dict[str, object]:
    count = write_channel(root / "channel", names, versions)
    with PackageIndex(root / "index") as index:
        before = peak_memory(resource.RUSAGE_SELF)
        results: dict[str, object] = {
            "records": count,
            "first index, s": round(timed_refresh(index, root / "channel"), 2),
            "nothing changed, s": round(timed_refresh(index, root / "channel"), 2),
            "both, cpu s": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime, 2),
            "indexing process, peak MB": round(peak_memory(resource.RUSAGE_CHILDREN)),
            "index on disk, MB": round(sum(path.stat().st_size for path in (root / "index").glob("*.sqlite")) / 1e6),
        }
        packages = index.search(PackageQuery(size=1)).count
        for threads in (1, 4):
            for workload, queries in workloads(make_names(names), packages // 100).items():
                key = workload if threads == 1 else f"{workload}, {threads} at once"
                results[key] = measure(index, queries, max(3, 60 // len(queries)), threads)
        results["searching process, growth of peak MB"] = round(peak_memory(resource.RUSAGE_SELF) - before)
    return results


def show(results: dict[str, object]) -> None:
    for what, value in results.items():
        if isinstance(value, dict):
            print(f"{what:<38}", *(f"{key} {number:>7.1f} ms  " for key, number in value.items()))
        else:
            print(f"{what:<38} {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Index and search a synthetic channel.")
    parser.add_argument("--names", type=int, default=25_000)
    parser.add_argument("--versions", type=int, default=20)
    parser.add_argument("--json", type=Path, help="write the results to this file, too")
    parser.add_argument("--keep", type=Path, help="work in this directory and leave the files there")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        root = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        results = run(root.absolute(), options.names, options.versions)
    show(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
