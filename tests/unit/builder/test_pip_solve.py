"""The pip part, solved against an index of hand-made wheels."""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from conda_store.builder.pip_solve import provided_by_conda
from conda_store.builder.wheels import best_wheel, uv_platform
from conda_store.domain.lock import CondaPackage
from conda_store.domain.platform import Platform
from conda_store.errors import DiskFull, PackageUnavailable, PipFailed, Unsolvable
from tests.recording import Recorder
from tests.serving import serving
from tests.unit.builder.conftest import Bench, run
from tools.channel.serve import ChannelServer, Fault


def test_files_with_urls_and_hashes_that_fit_the_platform(bench: Bench, wheels: Path) -> None:
    lock = bench.solve("python=3.11", "numpy=1.26", pip=["alpha"], platforms=("linux-64", "osx-arm64"))
    linux, mac = (item.pypi for item in lock.platforms)
    assert [(package.name, package.version) for package in linux] == [("alpha", "1.0"), ("beta", "1.2")]
    assert linux[1].url == (wheels / "beta-1.2-cp311-cp311-manylinux_2_17_x86_64.whl").as_uri()
    assert mac[1].url == (wheels / "beta-1.2-cp311-cp311-macosx_11_0_arm64.whl").as_uri()
    for package in linux + mac:
        content = Path(package.url.removeprefix("file://")).read_bytes()
        assert package.hashes == (f"sha256:{hashlib.sha256(content).hexdigest()}",)


def test_the_solved_python_decides(bench: Bench) -> None:
    old = bench.solve("python=3.11", "numpy", pip=["marked"]).platforms[0].pypi
    new = bench.solve("python=3.13", "numpy", pip=["marked"]).platforms[0].pypi
    assert [package.name for package in old] == ["beta", "marked"]
    assert [package.name for package in new] == ["marked"]


def test_what_conda_provides_is_neither_changed_nor_repeated(bench: Bench) -> None:
    lock = bench.solve("python=3.11", "numpy=1.26", pip=["numpy>=1.20", "alpha"])
    assert "numpy" not in {package.name for package in lock.platforms[0].pypi}


def test_a_conflict_with_the_conda_part_is_told(bench: Bench) -> None:
    with pytest.raises(Unsolvable) as caught:
        bench.solve("python=3.11", "numpy=1.26", pip=["modern"])
    assert caught.value.message.splitlines()[0] == "The pip part (modern) has no solution for linux-64"
    assert "modern" in caught.value.message
    assert "The conda part provides numpy 1.26.4" in caught.value.hint
    assert bench.solve("python=3.11", "numpy=2.1", pip=["modern"]).platforms[0].pypi


def write_source(directory: Path, mark: Path) -> Path:
    """A source distribution that writes a file when it is asked for its metadata."""
    backend = f"""
import pathlib

def prepare_metadata_for_build_wheel(directory, settings=None):
    pathlib.Path({str(mark)!r}).touch()
    folder = pathlib.Path(directory, "sourced-1.0.dist-info")
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\\nName: sourced\\nVersion: 1.0\\n")
    (folder / "WHEEL").write_text("Wheel-Version: 1.0\\n")
    return folder.name
"""
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    path = directory / "sourced-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {
            "pyproject.toml": project,
            "backend.py": backend,
            "PKG-INFO": "Metadata-Version: 1.0",
        }.items():
            entry = tarfile.TarInfo(f"sourced-1.0/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize("requirement", ["sourced", "sourced @ {url}"], ids=["of an index", "by its address"])
def test_code_of_a_source_distribution_runs_unless_only_wheels_are_taken(
    channels: Path, wheels: Path, tmp_path: Path, requirement: str
) -> None:
    links, mark = tmp_path / "links", tmp_path / "mark"
    shutil.copytree(wheels, links)
    pip = [requirement.format(url=write_source(links, mark).as_uri())]
    options = {"default_index_url": "", "find_links": (str(links),)}
    careful = Bench(tmp_path / "careful", channels.as_uri(), only_wheels=True, **options)
    with pytest.raises((PipFailed, Unsolvable), match="sourced") as caught:
        careful.solve("python=3.11", pip=pip)
    assert "pip_only_wheels" in caught.value.hint
    assert not mark.exists()
    with pytest.raises(PipFailed, match=r"^sourced would have to be built"):
        careful.solve("python=3.11", pip=["sourced @ git+https://127.0.0.1:9/never/asked"])
    assert careful.solve("python=3.11", "numpy=1.26", pip=["alpha"]).platforms[0].pypi
    usual = Bench(tmp_path / "usual", channels.as_uri(), **options)
    (package,) = usual.solve("python=3.11", pip=pip).platforms[0].pypi
    assert package.name == "sourced"
    assert mark.exists()


def test_an_unknown_distribution_is_named(bench: Bench) -> None:
    with pytest.raises(Unsolvable, match="no-such-thing was not found"):
        bench.solve("python=3.11", pip=["no-such-thing"])


def test_a_full_disk_is_told_as_one(channels: Path, tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho 'error: failed to write: No space left on device (os error 28)'; exit 2\n")
    uv.chmod(0o755)
    with pytest.raises(DiskFull, match=str(tmp_path / "cache")):
        Bench(tmp_path / "cache", channels.as_uri(), uv=uv).solve("python=3.11", pip=["beta"])


def test_a_pip_part_needs_python(bench: Bench) -> None:
    with pytest.raises(Unsolvable, match="needs Python") as caught:
        bench.solve("linux-only", pip=["beta"])
    assert "`python`" in caught.value.hint


def test_options_alone_are_no_pip_part(bench: Bench) -> None:
    lock = bench.solve("linux-only", pip=["--index-url https://ann:secret@pypi.example/simple"])
    assert lock.platforms[0].pypi == ()
    assert lock.pip_options == ("--index-url https://pypi.example/simple",)


class _Index(SimpleHTTPRequestHandler):
    """Directories are listed as pages of links: a simple index (PEP 503)."""

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def index_url(tmp_path: Path, wheels: Path) -> Iterator[str]:
    """An index with `beta` 1.1."""
    project = tmp_path / "simple" / "beta"
    project.mkdir(parents=True)
    shutil.copy(wheels / "beta-1.1-py3-none-any.whl", project)
    with serving(partial(_Index, directory=tmp_path)) as port:
        yield f"http://127.0.0.1:{port}/simple"


def test_the_index_of_the_specification_is_used(channels: Path, tmp_path: Path, index_url: str, wheels: Path) -> None:
    bench = Bench(tmp_path / "cache", channels.as_uri())
    lock = bench.solve("python=3.11", pip=[f"--index-url={index_url}", "beta"])
    (package,) = lock.platforms[0].pypi
    digest = hashlib.sha256((wheels / "beta-1.1-py3-none-any.whl").read_bytes()).hexdigest()
    assert package.url == f"{index_url}/beta/beta-1.1-py3-none-any.whl"
    assert package.hashes == (f"sha256:{digest}",)


def test_an_index_that_is_down_may_come_back(channels: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "cache", channels.as_uri(), default_index_url="http://127.0.0.1:9/simple")
    with pytest.raises(PackageUnavailable) as caught:
        bench.solve("python=3.11", pip=["beta"])
    assert caught.value.transient


def test_uv_is_given_up_after_its_time(channels: Path, tmp_path: Path) -> None:
    with ChannelServer(tmp_path) as server:
        server.faults["*"] = Fault(hang=True)
        bench = Bench(tmp_path / "cache", channels.as_uri(), default_index_url=server.url, pip_timeout=1.0)
        with pytest.raises(PipFailed, match="within 1 seconds"):
            bench.solve("python=3.11", pip=["beta"])


def test_uv_dies_with_a_cancelled_solve(bench: Bench, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    slow = tmp_path / "uv"
    slow.write_text(f"#!/bin/sh\necho $$ > {pid_file}\necho started\nsleep 600\n")
    slow.chmod(0o755)
    started = asyncio.Event()

    class Watching(Recorder):
        def log(self, text: str) -> None:
            if text == "started":
                started.set()

    async def cancel_while_uv_works() -> None:
        patient = Bench(tmp_path / "cache-2", bench.alias, uv=slow)
        request = patient.request("python=3.11", pip=["beta"])
        task = asyncio.create_task(patient.builder.solve(request, Watching()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancel_while_uv_works())
    assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()


def test_a_missing_uv_is_said(channels: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "cache", channels.as_uri(), uv=tmp_path / "no-uv")
    with pytest.raises(PipFailed, match="no program no-uv"):
        bench.solve("python=3.11", pip=["beta"])


def conda(name: str, version: str, *depends: str) -> CondaPackage:
    url = f"https://a.example/noarch/{name}-{version}-0.conda"
    return CondaPackage(name, version, "0", "noarch", url, "https://a.example", depends=depends)


def test_distributions_among_conda_packages() -> None:
    packages = [
        conda("python", "3.11.9", "libzlib"),
        conda("python_abi", "3.11"),
        conda("numpy", "1.26.4", "python >=3.11,<3.12.0a0", "python_abi 3.11.* *_cp311"),
        conda("pytorch", "2.3.0", "python_abi 3.11.* *_cp311"),
        conda("typing_extensions", "4.12.2", "python >=3.8"),
        conda("libblas", "3.9.0"),
        conda("odd", "1!2.0_x_y", "python"),
    ]
    assert provided_by_conda(packages) == {"numpy": "1.26.4", "torch": "2.3.0", "typing-extensions": "4.12.2"}


@pytest.mark.parametrize(
    ("platform", "python", "expected"),
    [
        (Platform.LINUX_64, "3.11.9", "x-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
        (Platform.LINUX_64, "3.12.1", "x-1-cp38-abi3-manylinux_2_17_x86_64.whl"),
        (Platform.OSX_ARM64, "3.11.9", "x-1-cp311-cp311-macosx_11_0_arm64.whl"),
        (Platform.WIN_64, "3.11.9", "x-1-cp311-cp311-win_amd64.whl"),
        (Platform.OSX_64, "3.11.9", "x-1-py3-none-any.whl"),
        (Platform.LINUX_AARCH64, "3.11.9", "x-1-py3-none-any.whl"),
    ],
)
def test_the_best_wheel(platform: Platform, python: str, expected: str) -> None:
    names = [
        "x-1-py3-none-any.whl",
        "x-1-cp38-abi3-manylinux_2_17_x86_64.whl",
        "x-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "x-1-cp311-cp311-musllinux_1_1_x86_64.whl",
        "x-1-cp311-cp311-macosx_11_0_arm64.whl",
        "x-1-cp311-cp311-win_amd64.whl",
        "not-a-wheel",
    ]
    found = best_wheel([{"url": f"https://a.example/{name}"} for name in names], platform, python)
    assert found == {"url": f"https://a.example/{expected}"}


def test_no_wheel_fits() -> None:
    assert best_wheel([{"url": "https://a.example/x-1-cp39-cp39-win32.whl"}], Platform.LINUX_64, "3.11") is None


def test_platforms_as_uv_names_them() -> None:
    assert uv_platform(Platform.OSX_ARM64) == "aarch64-apple-darwin"
    assert uv_platform(Platform.LINUX_AARCH64).startswith("aarch64-manylinux_2_")
    with pytest.raises(Unsolvable, match="linux-ppc64le"):
        uv_platform(Platform.LINUX_PPC64LE)
