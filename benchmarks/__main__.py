"""`make bench`: every figure in one run, side by side; results go to benchmarks/results/ and docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import builds

HERE = Path(__file__).parent
_OTHERS = {
    "lists": ("benchmarks.lists", "--output"),
    "packages": ("benchmarks.package_search", "--json"),
    "images": ("benchmarks.images", "--json"),
    "access": ("benchmarks.access", "--json"),
    "pages": ("benchmarks.pages", "--json"),
}
PARTS = ["cold", "warm", *_OTHERS]  # cold first: what the others write and delete slows a disk for minutes
PAGE = HERE.parent / "docs" / "benchmarks.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="pairs of warm builds")
    parser.add_argument("--cold-runs", type=int, default=4, help="pairs of cold builds of the large one")
    parser.add_argument("--only", choices=PARTS, action="append")
    options = parser.parse_args()
    wanted = options.only or PARTS
    kept = HERE / "results" / "latest.json"
    results: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    results["machine"] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }
    builds_measured = results.setdefault("builds", {})
    for part in wanted:
        if part == "warm":
            builds_measured.update(builds.run_warm(options.runs))
        elif part == "cold":
            builds_measured.update(builds.run_cold(options.cold_runs))
        else:
            results[part] = _other(*_OTHERS[part])
        results.setdefault("measured_on", {})[part] = results["machine"]["date"]
        # at once: what was measured is not lost with a part that fails
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
        PAGE.write_text(page(results))
    print(page(results))
    return 0


def _other(module: str, option: str) -> Any:
    """Another benchmark in a process of its own, so that its memory is not ours."""
    out = HERE.parent / ".cache" / f"{module}.json"
    out.parent.mkdir(exist_ok=True)
    out.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", module, option, str(out)], check=False, cwd=HERE.parent)
    return json.loads(out.read_text())


def _dates(measured_on: dict[str, str]) -> str:
    """Which parts were measured when."""
    days = sorted(set(measured_on.values()))
    return "; ".join(f"{', '.join(part for part in PARTS if measured_on.get(part) == day)}: {day}" for day in days)


def page(results: dict[str, Any]) -> str:
    """The results as a page of the documentation."""
    machine = results["machine"]
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` ({_dates(results['measured_on'])}): {machine['processors']} processors, Python "
        f"{machine['python']}. Seconds are medians; compared things ran in turns in one run.",
        "",
    ]
    if results.get("builds"):
        lines += _builds(results["builds"])
    if "lists" in results:
        lines += ["## Lists", "", "10,000 environments, 100,000 builds, pages of 100; milliseconds.", ""]
        lines += _table(results["lists"], "median_ms", "p95_ms")
    if "pages" in results:
        lines += _pages(results["pages"])
    if "access" in results:
        lines += ["## Who asks, and what they may do", "", "Processor time of one request; milliseconds.", ""]
        lines += ["| | median | more than anonymous |", "|---|---|---|"]
        lines += [f"| {name} | {row['median']:.2f} | {row['added']:.2f} |" for name, row in results["access"].items()]
        lines.append("")
    if "packages" in results:
        lines += ["## Package search", "", "500,078 records; milliseconds.", ""]
        searches = {name: row for name, row in results["packages"].items() if isinstance(row, dict)}
        lines += _table(searches, "median", "p95")
    if "images" in results:
        lines += _images(results["images"])
    return "\n".join(lines)


def _pages(results: dict[str, dict[str, float]]) -> list[str]:
    lines = ["## Pages", "", "Lighthouse, as on a slow phone, with the same 10,000 environments behind them.", ""]
    lines += ["| | performance | accessibility | best practices | server, ms | largest paint, ms | kB in all |"]
    lines += ["|---|---|---|---|---|---|---|"]
    keys = ("performance", "accessibility", "best-practices", "server_ms", "largest_paint_ms", "kilobytes")
    for name, row in results.items():
        lines.append(f"| {name} | " + " | ".join(f"{row[key]:.0f}" for key in keys) + " |")
    return [*lines, ""]


def _images(results: dict[str, Any]) -> list[str]:
    made, manifest, storage = results["layers"], results["manifest"], results["storage"]
    asked = {"": results["on_demand"], ", in memory": results.get("on_demand_in_memory")}
    fetched = results["downloads"]
    lines = ["## Images", ""]
    lines += [
        f"- {made['layers']} layers of the {made['packages']} packages of the large environment: "
        f"{made['seconds']['median']:.1f} s, {made['ratio']['median']:.2f} x reading and compressing the same files "
        "once with the same compressor",
        *(
            f"- its image through the service, packages in the cache and no layer known{where}: "
            f"{row['seconds']['median']:.1f} s, {row['ratio']['median']:.2f} x that compressing (each pair: "
            f"{row['ratio']['min']:.2f} to {row['ratio']['max']:.2f})"
            for where, row in asked.items()
            if row
        ),
        f"- POST to the first manifest, every package known: {manifest['post_to_manifest']['median']:.2f} s, "
        f"of which solving {manifest['solve']['median']:.2f} s; beyond solving {manifest['beyond_solve']['median']:.2f}"
        f" s, at most {manifest['beyond_solve']['max']:.2f} s",
        f"- manifest by tag: {manifest['get_by_tag_ms']['median']:.1f} ms, 99 % within "
        f"{manifest['get_by_tag_ms']['p99']:.1f} ms; by digest {manifest['get_by_digest_ms']['median']:.1f} and "
        f"{manifest['get_by_digest_ms']['p99']:.1f} ms",
        f"- {storage['environments']} related environments of conda-forge: "
        f"{storage['layers_by_package_megabytes']:.0f} MB in layers by package, "
        f"{storage['one_layer_each_megabytes']:.0f} MB in one layer each (estimated by the sizes of packages)",
        "",
        f"A blob of {fetched['blob_megabytes']:.0f} MB: MB/s, processor seconds of the server for a gigabyte, and its "
        "memory in MB.",
        "",
        "| | 1 client | 16 clients |",
        "|---|---|---|",
    ]
    for name in fetched["clients_1"]:
        cells = [fetched[f"clients_{number}"][name] for number in (1, 16)]
        shown = [
            f"{cell['megabytes_a_second']['median']:.0f}, {cell['processor_a_gigabyte']['median']:.2f} s, "
            f"{cell['memory_megabytes']['median']:.0f} MB"
            for cell in cells
        ]
        lines.append(f"| {name} | {shown[0]} | {shown[1]} |")
    return [*lines, ""]


def _builds(results: dict[str, Any]) -> list[str]:
    lines = ["## Builds", "", "From POST to COMPLETED, beside a script that solves and installs with py-rattler.", ""]
    lines += ["| | bare | service | |", "|---|---|---|---|"]
    for name in ("small", "medium", "large"):
        row = results["warm"][name]
        lines.append(_row(f"{name}, warm", row, f"{row['difference']['median']:+.2f} s"))
    for name in ("small", "medium", "large"):
        row = results["cold"][name]
        lines.append(_row(f"{name}, cold", row, _cold_comparison(row)))
    for name, row in results.get("cold_in_memory", {}).items():
        lines.append(_row(f"{name}, cold, in memory", row, _cold_comparison(row)))
    warm, archive = results["warm"], results["archive"]
    at_once = warm["twenty_at_once"]
    lines += [
        "",
        f"- POST to BUILDING: {warm['post_to_building']['median'] * 1000:.0f} ms",
        f"- start to first answer: {warm['start_seconds']:.2f} s",
        f"- idle, worker included: {warm['idle']['processor'] * 100:.2f} % of a processor, "
        f"{warm['idle']['memory_mb']:.0f} MB",
        f"- 20 medium builds at once: {at_once['together']:.2f} s, {at_once['ratio']:.2f} x twenty single ones",
        f"- archive of the large environment: {archive['service']['median']:.1f} s, "
        f"{archive['ratio']:.2f} x GNU tar into ISA-L gzip ({archive['tar_and_isal']['median']:.1f} s); unpacking it "
        f"{archive['unpack_service']['median']:.1f} s against {archive['unpack_tar_and_isal']['median']:.1f} s",
        "",
    ]
    return lines


def _row(name: str, row: dict[str, Any], comparison: str) -> str:
    return f"| {name} | {row['bare']['median']:.2f} | {row['service']['median']:.2f} | {comparison} |"


def _cold_comparison(row: dict[str, Any]) -> str:
    return f"x {row['ratio']['median']:.2f}; fastest {row['bare']['min']:.2f} and {row['service']['min']:.2f}"


def _table(rows: dict[str, dict[str, float]], median: str, most: str) -> list[str]:
    """Milliseconds, by name."""
    lines = ["| | median | 95 % |", "|---|---|---|"]
    lines += [f"| {name} | {row[median]:.1f} | {row[most]:.1f} |" for name, row in rows.items()]
    return [*lines, ""]


if __name__ == "__main__":
    sys.exit(main())
