"""The stand-in behaves as the port says."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from conda_store.builder.engine import RattlerBuilder
from conda_store.builder.fake import FakeBuilder
from conda_store.builder.ports import Builder, InstallRequest, SolveRequest
from conda_store.domain.lock import Lock
from conda_store.domain.platform import Platform
from conda_store.domain.specification import Specification
from conda_store.errors import BuildFailed, PackageUnavailable, Unsolvable
from tests.recording import Recorder
from tests.unit.builder.conftest import run


def request(*dependencies: str) -> SolveRequest:
    specification = Specification("x", ("main",), dependencies, ("requests==2.0",))
    return SolveRequest(specification, (Platform.LINUX_64, Platform.OSX_ARM64), "https://conda.example")


def solve(builder: Builder, *dependencies: str) -> Lock:
    return run(builder.solve(request(*dependencies), Recorder()))


def installation(lock: Lock, directory: Path) -> InstallRequest:
    return InstallRequest(lock.platforms[0], directory / "staging", directory / "store" / "prefix")


def test_both_builders_are_builders(tmp_path: Path) -> None:
    builders: list[Builder] = [FakeBuilder(), RattlerBuilder(tmp_path)]
    for builder in builders:
        assert builder.conda_name("conda-forge::NumPy>=1,<2") == "numpy"
        assert builder.pypi_name("Ruamel.Yaml[jinja2] >= 1") == "ruamel-yaml"
        assert builder.read(b"name: x\ndependencies: [python]", format=None, name=None).name == "x"
        run(builder.close())


def test_a_solve_is_deterministic() -> None:
    lock = solve(FakeBuilder(), "numpy=1.26", "python>=3.11")
    assert lock == solve(FakeBuilder(), "numpy=1.26", "python>=3.11")
    assert [(p.name, p.version) for p in lock.platforms[0].conda] == [("numpy", "1.26"), ("python", "3.11")]
    assert lock.platforms[1].conda[0].subdir == "osx-arm64"
    assert lock.platforms[0].pypi[0].version == "2.0"
    assert lock.channels == ("https://conda.example/main",)


def test_an_installation_is_a_directory_with_conda_meta(tmp_path: Path) -> None:
    builder = FakeBuilder()
    lock = solve(builder, "python")
    recorder = Recorder()
    wanted = replace(installation(lock, tmp_path), variables={"MODE": "fast"})
    installed = run(builder.install(wanted, recorder))
    prefix = tmp_path / "store" / "prefix"
    assert json.loads((prefix / "conda-meta" / "state").read_text())["env_vars"] == {"MODE": "fast"}
    assert (prefix / "conda-meta" / "python-1.0-0.json").exists()
    files = [path for path in prefix.rglob("*") if path.is_file()]
    assert (installed.files, installed.size) == (len(files), sum(path.stat().st_size for path in files))
    assert not (tmp_path / "staging").exists()
    assert recorder.steps[-1].packages_done == 1


def test_it_fails_when_told_to(tmp_path: Path) -> None:
    builder = FakeBuilder()
    with pytest.raises(Unsolvable):
        solve(builder, "fail-always")
    with pytest.raises(Unsolvable, match="missing-thing"):
        solve(builder, "missing-thing", "python")
    lock = solve(builder, "fail-install")
    with pytest.raises(BuildFailed):
        run(builder.install(installation(lock, tmp_path), Recorder()))
    assert not (tmp_path / "store").exists()


def test_a_transient_failure_passes_also_for_another_process(tmp_path: Path) -> None:
    lock = solve(FakeBuilder(), "fail-transient")
    with pytest.raises(PackageUnavailable):
        run(FakeBuilder(tmp_path).install(installation(lock, tmp_path), Recorder()))
    assert run(FakeBuilder(tmp_path).install(installation(lock, tmp_path), Recorder())).files > 0


def test_it_hangs_until_cancelled(tmp_path: Path) -> None:
    builder = FakeBuilder()
    lock = solve(builder, "hang")

    async def cancel() -> None:
        task = asyncio.create_task(builder.install(installation(lock, tmp_path), Recorder()))
        await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancel())
