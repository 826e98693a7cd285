"""Channels small and real, wheels made by hand, and a builder over them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zipfile
from collections.abc import Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import zstandard

from conda_store.builder.engine import RattlerBuilder
from conda_store.builder.options import BuilderOptions
from conda_store.builder.ports import SolveRequest
from conda_store.domain.lock import Lock
from conda_store.domain.platform import Platform
from conda_store.domain.specification import Specification
from tests.recording import Recorder
from tools.channel.serve import ChannelServer
from tools.channel.tiny import index, write_package

LIMIT = 60.0  # seconds that any test may wait
DATA = Path(__file__).parents[2] / "data"
Result = TypeVar("Result")


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The coroutine's result; it never takes longer than `LIMIT`."""
    return asyncio.run(asyncio.wait_for(coroutine, LIMIT))


class Bench:
    """A builder with a cache of its own; `alias` is where short channel names lie."""

    def __init__(self, cache: Path, alias: str, **options: Any) -> None:
        self.options = BuilderOptions(
            **{"repodata_check_interval": 0.0, "download_retries": 0, "default_index_url": "", **options}
        )
        self.builder = RattlerBuilder(cache, options=self.options)
        self.alias = alias
        self.reporter = Recorder()

    def request(
        self,
        *dependencies: str,
        channels: Iterable[str] = ("main",),
        platforms: Iterable[str] = ("linux-64",),
        pip: Iterable[str] | None = None,
        variables: dict[str, str | int] | None = None,
        strict: bool = True,
        limit: float = 30.0,
    ) -> SolveRequest:
        specification = Specification(
            "environment",
            tuple(channels),
            dependencies,
            tuple(pip) if pip is not None else None,
            variables=variables,
        )
        return SolveRequest(specification, tuple(map(Platform, platforms)), self.alias, strict, limit)

    def solve(self, *dependencies: str, **keywords: Any) -> Lock:
        return run(self.builder.solve(self.request(*dependencies, **keywords), self.reporter))

    def versions(self, *dependencies: str, **keywords: Any) -> dict[str, str]:
        """Name -> version of the solution's conda packages for the first platform."""
        lock = self.solve(*dependencies, **keywords)
        return {package.name: package.version for package in lock.platforms[0].conda}

    def state(self, *dependencies: str, **keywords: Any) -> str:
        return run(self.builder.channel_state(self.request(*dependencies, **keywords)))


@pytest.fixture(scope="session")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the channels `main` and `extra`."""
    root = tmp_path_factory.mktemp("channels")
    main, extra = root / "main", root / "extra"
    for subdir in ("linux-64", "osx-arm64"):
        for version in ("3.11.9", "3.13.1"):
            write_package(main, "python", version, subdir=subdir)
    for version, python in (("1.26.4", ">=3.9,<3.13"), ("2.1.0", ">=3.10")):
        write_package(main, "numpy", version, subdir="linux-64", depends=[f"python {python}"])
        write_package(main, "numpy", version, subdir="osx-arm64", depends=[f"python {python}"])
    write_package(main, "pure", "1.0", noarch="python", depends=["python >=3.9", "numpy"])
    write_package(main, "linux-only", "1.0", subdir="linux-64")
    write_package(main, "old-science", "1.0", subdir="linux-64", depends=["numpy <2"])
    write_package(main, "gpu", "1.0", depends=["__cuda >=12"])
    write_package(main, "new-system", "1.0", subdir="linux-64", depends=["__glibc >=9"])
    write_package(main, "shared", "1.0")
    write_package(extra, "shared", "2.0")
    write_package(extra, "only-extra", "1.0", depends=["shared"])
    index(main)
    index(extra)
    return root


@pytest.fixture
def bench(channels: Path, tmp_path: Path, wheels: Path) -> Bench:
    """Over the channels as files, with the wheels as the only index."""
    return Bench(tmp_path / "cache", channels.as_uri(), find_links=(str(wheels),))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, ChannelServer]]:
    """A channel `main` with one package, served over HTTP from a directory that a test may change."""
    root = tmp_path / "served"
    write_package(root / "main", "tool", "1.0")
    index(root / "main")
    with ChannelServer(root) as server:
        yield root / "main", server


@pytest.fixture(scope="session")
def conda_forge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory above a channel `conda-forge` with 5,932 real records, digests made up."""
    root = tmp_path_factory.mktemp("slice")
    data = zstandard.ZstdDecompressor().decompress((DATA / "conda-forge-slice.json.zst").read_bytes())
    for subdir, records in json.loads(data).items():
        for file_name, record in records.items():
            record["subdir"] = subdir
            record["md5"] = hashlib.md5(file_name.encode(), usedforsecurity=False).hexdigest()
            record["sha256"] = hashlib.sha256(file_name.encode()).hexdigest()
        kinds = {
            "packages": {name: record for name, record in records.items() if name.endswith(".tar.bz2")},
            "packages.conda": {name: record for name, record in records.items() if name.endswith(".conda")},
        }
        directory = root / "conda-forge" / subdir
        directory.mkdir(parents=True)
        (directory / "repodata.json").write_text(json.dumps({"info": {"subdir": subdir}, **kinds}))
    return root


def write_wheel(
    directory: Path, name: str, version: str, requires: Iterable[str] = (), tag: str = "py3-none-any"
) -> Path:
    """A wheel with one module."""
    path = directory / f"{name}-{version}-{tag}.whl"
    folder = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "")
        wheel.writestr(f"{folder}/METADATA", "\n".join(lines) + "\n")
        wheel.writestr(f"{folder}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{folder}/RECORD", "")
    return path


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheels")
    write_wheel(directory, "alpha", "1.0", ["beta>=1", "numpy"])
    write_wheel(directory, "beta", "1.1")
    write_wheel(directory, "beta", "1.2", tag="cp311-cp311-manylinux_2_17_x86_64")
    write_wheel(directory, "beta", "1.2", tag="cp311-cp311-macosx_11_0_arm64")
    write_wheel(directory, "modern", "1.0", ["numpy>=2"])
    write_wheel(directory, "marked", "1.0", ['beta; python_version < "3.12"'])
    return directory
