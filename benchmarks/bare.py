"""What the engine can do without a service: solve and install with py-rattler, in one process.

    python -m benchmarks.bare CHANNEL_URL CACHE PREFIX SPEC [SPEC ...]

Prints the seconds from the start of the solve to the end of the installation.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from rattler import Gateway, MatchSpec, VirtualPackage, install, solve


async def bare(channel: str, cache: Path, prefix: Path, specs: list[str]) -> float:
    started = time.perf_counter()
    records = await solve(
        [channel],
        [MatchSpec(spec) for spec in specs],
        gateway=Gateway(cache_dir=cache / "repodata"),
        platforms=["linux-64", "noarch"],
        virtual_packages=VirtualPackage.detect(),
    )
    await install(records, prefix, cache_dir=cache / "packages")
    return time.perf_counter() - started


if __name__ == "__main__":
    url, cache, prefix, *wanted = sys.argv[1:]
    print(asyncio.run(bare(url, Path(cache), Path(prefix), wanted)), flush=True)
    os._exit(0)  # rattler's threads have been seen to crash an interpreter that takes itself apart
