"""Builds that need the same packages at the same time: who fetches, who waits, and who must not."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from conda_store.builder.claims import Claims
from conda_store.builder.install import install
from conda_store.errors import PackageNotFound
from tests.unit.builder_install.other_process import start
from tests.waiting import PATIENCE, wait_for
from tools.channel.serve import ChannelServer, Fault


@pytest.fixture
def served(site):
    for name in ("shared", "slow", "other"):
        site.add(name, files={f"share/{name}/{part}": os.urandom(1_000) for part in range(5)})
    with ChannelServer(site.channel) as server:
        site.serve_from(server.url)
        yield server


@pytest.fixture
def other(site, served):
    """Another process that installs `shared` and `slow`, and hangs in downloading `slow`."""
    served.faults["*slow*.conda"] = Fault(hang=True, times=1)
    process = start(site.root, select(site, "shared", "slow"), "elsewhere")
    wait_for("the download", lambda: served.faults["*slow*.conda"].times == 0 and is_cached(site, "shared"))
    yield process
    with process:
        process.send_signal(signal.SIGKILL)


def select(site, *names):
    return [package for package in site.packages if package.name in names]


def is_cached(site, name):
    return site.cache.seal_of(*select(site, name)) is not None


def test_cached_packages_wait_for_nobody(site, served, other):
    site.packages = select(site, "shared")
    site.install()
    assert (site.store / "environment/share/shared").is_dir()
    assert other.poll() is None
    assert not (site.store / "elsewhere").exists()
    assert served.count("*shared*.conda") == 1


def test_other_packages_are_fetched_beside_a_hanging_download(site, served, other):
    site.packages = select(site, "shared", "other")
    site.install()
    assert other.poll() is None
    assert [served.count(f"*{name}*.conda") for name in ("shared", "other")] == [1, 1]


def test_package_is_fetched_by_the_next_when_its_process_dies(site, served, other, run_async):
    async def work():
        task = asyncio.create_task(install(site.request(), site.reporter, cache=site.cache, options=site.options))
        while "Waiting for 1 packages that other builds download: slow-1.0-0.conda" not in site.reporter.text:
            assert not task.done(), await task
            await asyncio.sleep(0.01)
        assert is_cached(site, "other")  # nothing else has waited
        other.send_signal(signal.SIGKILL)
        await task

    run_async(work())
    assert {path.name for path in (site.store / "environment/share").iterdir()} == {"shared", "slow", "other"}
    assert [served.count(f"*{name}*.conda") for name in ("shared", "slow", "other")] == [1, 1, 1]


def test_two_processes_fetch_each_package_once(site, served, measure):
    served.faults["*.conda"] = Fault(delay=0.3)
    processes = [start(site.root, site.packages, f"environment-{number}") for number in range(2)]
    for process in processes:
        with process:
            assert process.wait(timeout=PATIENCE) == 0
            assert process.stdout.read().endswith("end\n")
    assert served.count("*.conda") == 3
    assert measure(site.store / "environment-0") == measure(site.store / "environment-1")
    assert [*site.cache.root.glob("claims/*"), *site.cache.incoming.iterdir()] == []


def test_frozen_process_is_not_waited_for_for_ever(tmp_path, site):
    package = site.add("thing", files={"a": "a"})
    frozen, patient, impatient = (Claims(tmp_path / "claims", seconds) for seconds in (60.0, 60.0, -1.0))
    assert frozen.take(package)
    assert not patient.take(package)
    assert impatient.take(package)
    impatient.release()
    assert not patient.take(package)
    frozen.release()
    assert patient.take(package)
    assert not frozen.take(package)


def test_what_was_fetched_before_a_failure_is_kept(site, served):
    served.faults["*slow*.conda"] = Fault(status=404, delay=1.0, times=1)
    with pytest.raises(PackageNotFound):
        site.install()
    site.install()
    assert [served.count(f"*{name}*.conda") for name in ("shared", "slow", "other")] == [1, 2, 1]


def test_records_name_the_package_where_it_is_kept(site, served):
    site.install()
    for package in site.packages:
        record = site.store / f"environment/conda-meta/{package.name}-1.0-0.json"
        assert str(site.cache.directory(package)) in record.read_text()
        assert str(site.cache.incoming) not in record.read_text()
