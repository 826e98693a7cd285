"""`kill -9` at any moment of an installation: the next one copes, and nothing half done is at the prefix."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from conda_store.builder.package_cache import PackageCache
from tools.channel.serve import ChannelServer, Fault

INSTALLER = """
import asyncio, json, sys
from pathlib import Path
from conda_store.builder.install import install
from conda_store.builder.options import BuilderOptions
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.ports import InstallRequest
from conda_store.domain.lock import CondaPackage, PlatformLock
from conda_store.domain.platform import Platform

class Reporter:
    def log(self, text): pass
    def progress(self, progress): pass

root, packages = Path(sys.argv[1]), json.loads(sys.stdin.read())
packages = [{k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()} for raw in packages]
lock = PlatformLock(Platform.LINUX_64, tuple(CondaPackage(**raw) for raw in packages))
store = root / "store"
request = InstallRequest(lock=lock, staging=store / ".staging-environment", prefix=store / "environment",
                         link_script_packages=frozenset({"*"}))
cache = PackageCache(root / "cache")
print("begin", flush=True)
asyncio.run(install(request, Reporter(), cache=cache, options=BuilderOptions()))
print("end", flush=True)
"""

# seconds after the beginning; with two slow downloads it takes about one second altogether
MOMENTS = [0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 0.9]


@pytest.fixture
def server(site):
    for number in range(6):
        files = {f"share/{number}/{part}": os.urandom(20_000) for part in range(40)}
        site.add(f"part-{number}", files=files)
    site.add("scripted", link_scripts={"post-link": 'sleep 0.2; echo done > "$PREFIX/scripted"\n'})
    with ChannelServer(site.channel) as server:
        server.faults["*part-3*"] = Fault(delay=0.3, times=1)
        site.serve_from(server.url)
        yield server


@pytest.mark.parametrize("moment", MOMENTS)
def test_next_installation_is_complete(site, server, moment):
    child = subprocess.Popen(
        [sys.executable, "-c", INSTALLER, str(site.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    child.stdin.write(json.dumps([asdict(package) for package in site.packages]))
    child.stdin.close()
    assert child.stdout.readline() == "begin\n"
    time.sleep(moment)
    child.send_signal(signal.SIGKILL)
    child.wait(timeout=20)
    child.stdout.close()
    if (site.store / "environment").exists():  # then all is linked; only the script may be missing
        check_parts(site.store / "environment", site)

    site.cache = PackageCache(site.root / "cache")
    site.install(link_script_packages=frozenset({"*"}))
    check(site.store / "environment", site)
    site.cache.tidy()
    names = {path.name for path in site.cache.packages.iterdir() if path.is_dir()}
    assert names == {site.cache.directory(package).name for package in site.packages}
    assert {path.name for path in site.store.iterdir()} <= {"environment", ".trash"}
    assert all(is_sound for _, is_sound in site.cache.check())


def check(prefix: Path, site) -> None:
    check_parts(prefix, site)
    assert (prefix / "scripted").read_text() == "done\n"


def check_parts(prefix: Path, site) -> None:
    for number in range(6):
        sizes = [path.stat().st_size for path in (prefix / f"share/{number}").iterdir()]
        assert sizes == [20_000] * 40
    assert len(list((prefix / "conda-meta").glob("*.json"))) == len(site.packages)
