"""`kill -9` at any moment of an installation: the next one copes, and nothing half done is at the prefix."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from conda_store.builder.package_cache import PackageCache
from tests.unit.builder_install.other_process import start
from tools.channel.serve import ChannelServer, Fault

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
    child = start(site.root, site.packages)
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
