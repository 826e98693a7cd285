"""An installation in a process of its own.

    python -m tests.unit.builder_install.other_process ROOT NAME    < packages as JSON

It prints `begin`, the lines of the log, and `end`.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from conda_store.builder.install import install
from conda_store.builder.options import BuilderOptions
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.ports import InstallRequest
from conda_store.domain.build import Progress
from conda_store.domain.lock import CondaPackage, PlatformLock
from conda_store.domain.platform import Platform


def start(root: Path, packages: Sequence[CondaPackage], name: str = "environment") -> subprocess.Popen[str]:
    """The process, about to install over the cache below `root`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.builder_install.other_process", str(root), name],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps([asdict(package) for package in packages]))
    process.stdin.close()
    assert process.stdout.readline() == "begin\n"
    return process


class _Printer:
    def log(self, text: str) -> None:
        print(text, flush=True)

    def progress(self, progress: Progress) -> None: ...


def main() -> None:
    store, name = Path(sys.argv[1], "store"), sys.argv[2]
    packages = [
        CondaPackage(**{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()})
        for raw in json.loads(sys.stdin.read())
    ]
    request = InstallRequest(
        lock=PlatformLock(Platform.LINUX_64, tuple(packages)),
        staging=store / f".staging-{name}",
        prefix=store / name,
        link_script_packages=frozenset({"*"}),
    )
    cache = PackageCache(Path(sys.argv[1], "cache"))
    print("begin", flush=True)
    asyncio.run(install(request, _Printer(), cache=cache, options=BuilderOptions()))
    print("end", flush=True)


if __name__ == "__main__":
    main()
