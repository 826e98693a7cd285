"""Solving over channels on disk: results, several platforms, and explanations."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from conda_store.domain.conda_lock import document as lock_to_document
from conda_store.domain.conda_lock import lock_from_document
from conda_store.domain.lock import Lock, load_lock
from conda_store.domain.platform import Platform
from conda_store.errors import ChannelNotFound, CondaStoreError, Unsolvable
from tests.unit.builder.conftest import Bench, run

FIVE = ("linux-64", "linux-aarch64", "osx-64", "osx-arm64", "win-64")


def refused(bench: Bench, *dependencies: str, **keywords: object) -> str:
    with pytest.raises(Unsolvable) as caught:
        bench.solve(*dependencies, **keywords)
    return str(caught.value)


def test_a_solution_is_sorted_by_name_and_has_its_channel(bench: Bench, channels: Path) -> None:
    lock = bench.solve("pure", "python=3.11")
    assert [package.name for package in lock.platforms[0].conda] == ["numpy", "pure", "python"]
    pure = lock.platforms[0].package("pure")
    assert pure is not None
    assert (pure.noarch, pure.subdir) == ("python", "noarch")
    assert pure.channel == f"{channels.as_uri()}/main"
    assert pure.url == f"{pure.channel}/noarch/{pure.file_name}"
    assert pure.sha256 is not None
    assert len(pure.sha256) == 64
    assert lock.channels == (f"{channels.as_uri()}/main",)


@pytest.mark.parametrize(
    "text", ["numpy=1.26.4=0", "numpy 1.26.4", "numpy=1.26.*", "numpy==1.26.4", "numpy[version='<2']", "NumPy<2"]
)
def test_match_specs_are_read_as_conda_writes_them(bench: Bench, text: str) -> None:
    assert bench.versions(text, "python=3.11")["numpy"] == "1.26.4"


def test_platforms_share_one_lock(bench: Bench) -> None:
    lock = bench.solve("numpy", platforms=("linux-64", "osx-arm64"))
    assert [item.platform for item in lock.platforms] == [Platform.LINUX_64, Platform.OSX_ARM64]
    assert {package.subdir for package in lock.platforms[1].conda} == {"osx-arm64"}


def test_a_lock_survives_its_storage_and_its_document(bench: Bench) -> None:
    lock = bench.solve("pure", platforms=("linux-64", "osx-arm64"))
    assert load_lock(lock.dump()) == lock
    document = lock_to_document(lock, lock.digest)
    again = lock_from_document(document)
    assert again.document == document
    assert [(p.name, p.version, p.url, p.sha256, p.md5) for item in again.platforms for p in item.conda] == [
        (p.name, p.version, p.url, p.sha256, p.md5) for item in lock.platforms for p in item.conda
    ]


def test_nothing_asked_for_is_an_empty_lock(bench: Bench) -> None:
    assert bench.solve().platforms[0].conda == ()


def test_strict_priority_takes_the_first_channel_that_has_the_name(bench: Bench) -> None:
    assert bench.versions("shared", channels=("main", "extra")) == {"shared": "1.0"}
    assert bench.versions("shared", channels=("extra", "main")) == {"shared": "2.0"}
    assert bench.versions("shared", channels=("main", "extra"), strict=False) == {"shared": "2.0"}


def test_a_match_spec_may_name_one_of_the_channels_by_its_short_name(bench: Bench) -> None:
    assert bench.versions("extra::shared", channels=("main", "extra"), strict=False) == {"shared": "2.0"}


def test_a_match_spec_cannot_bring_in_another_channel(bench: Bench) -> None:
    text = refused(bench, "extra::shared", channels=("main",))
    assert text.splitlines()[0] == "`extra::shared` cannot be installed on linux-64"
    assert "listed under `channels`" in text


def test_every_missing_name_is_named_with_what_may_be_meant(bench: Bench) -> None:
    text = refused(bench, "nunpy", "pyton", "python", "zzz")
    assert text.splitlines()[0] == "Packages not found in the channels: nunpy, pyton, zzz"
    assert "nunpy: did you mean numpy?" in text
    assert "pyton: did you mean python" in text
    assert text.count("zzz") == 1


def test_a_package_that_one_platform_lacks(bench: Bench) -> None:
    text = refused(bench, "linux-only", platforms=("linux-64", "osx-arm64"))
    assert "linux-only: not for osx-arm64" in text


def test_a_conflict_names_the_lines_of_the_specification(bench: Bench) -> None:
    text = refused(bench, "shared", "numpy>=2", "linux-only", "old-science", "python")
    assert text.splitlines()[0] == "`numpy>=2` and `old-science` cannot be installed together on linux-64"
    assert "numpy <2" in text


def test_the_users_own_line_is_told_where_it_excludes_the_rest(bench: Bench) -> None:
    text = refused(bench, "numpy=1.26", "python=3.13")
    assert text.splitlines()[0] == "`numpy=1.26` and `python=3.13` cannot be installed together on linux-64"
    assert "while the specification asks for `python=3.13`" in text


@pytest.mark.parametrize(("name", "variable"), [("gpu", "CONDA_OVERRIDE_CUDA"), ("new-system", "CONDA_OVERRIDE_GLIBC")])
def test_a_missing_virtual_package_is_explained_and_can_be_declared(bench: Bench, name: str, variable: str) -> None:
    assert variable in refused(bench, name)
    assert bench.versions(name, variables={variable: "12.4"}) == {name: "1.0"}


def test_an_override_that_is_no_version(bench: Bench) -> None:
    assert "CONDA_OVERRIDE_CUDA=new" in refused(bench, "gpu", variables={"CONDA_OVERRIDE_CUDA": "new"})


def test_an_unknown_channel_is_named(bench: Bench) -> None:
    with pytest.raises(ChannelNotFound, match=r"Channel file://\S+/nowhere does not exist") as caught:
        bench.solve("numpy", channels=("nowhere",))
    assert not caught.value.transient


def test_real_records_of_conda_forge_for_five_platforms(conda_forge: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path, conda_forge.as_uri())
    lock = bench.solve("python", "numpy", "pandas", "scikit-learn", channels=("conda-forge",), platforms=FIVE)
    assert [item.platform.value for item in lock.platforms] == list(FIVE)
    for item in lock.platforms:
        names = {package.name for package in item.conda}
        assert {"python", "numpy", "pandas", "scikit-learn", "scipy", "python-dateutil"} <= names
        assert {package.subdir for package in item.conda} <= {item.platform.value, "noarch"}
        missing = {
            dependency.partition(" ")[0]
            for package in item.conda
            for dependency in package.depends
            if not dependency.startswith("__")
        } - names
        assert not missing
    assert {p.name for p in lock.platforms[4].conda} - {p.name for p in lock.platforms[0].conda} >= {"vc14_runtime"}


def test_pinned_real_records(conda_forge: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path, conda_forge.as_uri())
    versions = bench.versions("python=3.11", "numpy<2", "pandas=2.2", channels=("conda-forge",))
    assert versions["python"].startswith("3.11.")
    assert versions["numpy"].startswith("1.")
    assert versions["pandas"].startswith("2.2.")


def test_real_records_that_conflict(conda_forge: Path, tmp_path: Path) -> None:
    text = refused(
        Bench(tmp_path, conda_forge.as_uri()),
        "python=3.13", "numpy<1.20", "pandas", "scikit-learn",
        channels=("conda-forge",),
    )  # fmt: skip
    assert text.splitlines()[0] == "`python=3.13` and `numpy<1.20` cannot be installed together on linux-64"
    assert len(text) < 2000


def test_the_time_to_solve_is_limited(conda_forge: Path, tmp_path: Path) -> None:
    text = refused(
        Bench(tmp_path, conda_forge.as_uri()),
        "python", "numpy", "pandas", "scikit-learn",
        channels=("conda-forge",), platforms=FIVE, limit=0.00001,
    )  # fmt: skip
    assert "conda_max_solve_time" in text


def test_solves_at_the_same_moment_and_a_cancelled_one(bench: Bench) -> None:
    async def all_at_once() -> list[Lock]:
        request = bench.request("pure", platforms=("linux-64", "osx-arm64"))
        cancelled = asyncio.create_task(bench.builder.solve(request, bench.reporter))
        await asyncio.sleep(0)
        cancelled.cancel()
        locks = await asyncio.gather(*(bench.builder.solve(request, bench.reporter) for _ in range(8)))
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        return locks

    locks = run(all_at_once())
    assert len({lock.digest for lock in locks}) == 1


def test_errors_are_ours_and_without_a_traceback_of_the_solver(bench: Bench) -> None:
    with pytest.raises(CondaStoreError) as caught:
        bench.solve("old-science", "numpy>=2")
    assert "Error" not in caught.value.message
    assert "Caused by" not in caught.value.message
