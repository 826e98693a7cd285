"""Archives and installers of environments of real packages: unpacked elsewhere, they work and tell nothing."""

import asyncio
import subprocess
from pathlib import Path

import pytest
import rattler

from conda_store.artifacts.archive import write_archive
from conda_store.artifacts.installer import installer_chunks
from conda_store.domain.lock import CondaPackage, PlatformLock
from conda_store.domain.platform import Platform, current_platform
from tests.waiting import PATIENCE

pytestmark = pytest.mark.channel


async def _install(channel: Path, prefix: Path, cache: Path, specs: tuple[str, ...]) -> PlatformLock:
    records = await rattler.solve(
        [rattler.Channel(channel.as_uri())],
        [rattler.MatchSpec(spec) for spec in specs],
        gateway=rattler.Gateway(cache_dir=cache / "repodata"),
        platforms=[str(current_platform()), "noarch"],
        virtual_packages=rattler.VirtualPackage.detect(),
    )
    await rattler.install(records, target_prefix=prefix, cache_dir=cache / "pkgs")
    return PlatformLock(
        Platform(current_platform()),
        tuple(
            CondaPackage(
                record.name.normalized,
                str(record.version),
                record.build,
                record.subdir,
                record.url,
                str(record.channel),
            )
            for record in records
        ),
    )


class Installation:
    """Environments of one module's tests share a package cache."""

    def __init__(self, channel: Path, folder: Path) -> None:
        self._channel = channel
        self._folder = folder

    def make(self, prefix: Path, *specs: str) -> PlatformLock:
        return asyncio.run(_install(self._channel, prefix, self._folder / "cache-of-the-server", specs))


@pytest.fixture(scope="module")
def installation(real_channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(real_channel, tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def science(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlatformLock]:
    """Python with numpy and pandas, and a part that pip installed."""
    prefix = tmp_path_factory.mktemp("store-of-the-server") / "1234-science"
    lock = installation.make(prefix, "python=3.11", "numpy", "pandas", "ipykernel", "pip", "setuptools")
    source = tmp_path_factory.mktemp("source")
    (source / "hello.py").write_text("import sys\ndef main():\n    print('hello from', sys.prefix)\n")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "hello"\nversion = "1.0"\nscripts = { hello = "hello:main" }\n'
    )
    pip = [
        "-m",
        "pip",
        "install",
        "--no-index",
        "--no-build-isolation",
        "--no-deps",
        "--quiet",
        "--root-user-action=ignore",
    ]
    subprocess.run([prefix / "bin/python", *pip, source], check=True, timeout=PATIENCE)
    return prefix, lock


def unpacked(archive: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    subprocess.run(["tar", "-xzf", archive, "-C", target], check=True)
    subprocess.run([target / "bin/conda-unpack"], check=True, env={})
    return target


def own_traces(root: Path, *needles: bytes) -> list[str]:
    return [
        str(file.relative_to(root))
        for file in root.rglob("*")
        if file.is_file() and not file.is_symlink() and any(needle in file.read_bytes() for needle in needles)
    ]


def run_in(target: Path, command: str) -> str:
    return subprocess.run(
        ["bash", "-euc", f'. "{target}/bin/activate"; {command}'],
        env={"PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    ).stdout


def test_numpy_pandas_and_entry_points_work_elsewhere(science: tuple[Path, PlatformLock], tmp_path: Path) -> None:
    prefix, lock = science
    archive = tmp_path / "science.tar.gz"
    write_archive(prefix, lock, archive)
    target = unpacked(archive, tmp_path / "else where")
    assert own_traces(target, b"store-of-the-server", b"cache-of-the-server") == []
    hidden = prefix.rename(prefix.with_name("hidden"))
    try:
        output = run_in(
            target,
            "python -c 'import numpy, pandas, sys; print(sys.prefix, numpy.__file__)'; hello; pygmentize -V; f2py -v; "
            "python -m pip list --format=freeze; python -m pip check; "
            "python -c 'import sysconfig; print(sysconfig.get_config_var(\"LIBDIR\"))'",
        )
        without_activation = subprocess.run([target / "bin/hello"], check=True, capture_output=True, text=True).stdout
    finally:
        hidden.rename(prefix)
    lines = output.splitlines()
    assert lines[0] == f"{target} {target}/lib/python3.11/site-packages/numpy/__init__.py"
    assert lines[1] == f"hello from {target}"
    assert "hello==1.0" in lines
    assert "No broken requirements found." in lines
    assert lines[-1] == f"{target}/lib"
    assert without_activation == f"hello from {target}\n"


def test_it_is_what_rattler_would_have_installed_there(installation: Installation, tmp_path: Path) -> None:
    specs = (
        "python=3.11",
        "pandas",
        "ipykernel",
        "odd-prefix",
        "odd-unicode",
        "odd-symlink",
        "odd-long-path",
        "odd-modes",
    )
    lock = installation.make(tmp_path / "first", *specs)
    write_archive(tmp_path / "first", lock, tmp_path / "a.tar.gz")
    target = unpacked(tmp_path / "a.tar.gz", tmp_path / "second")
    aside = target.rename(tmp_path / "aside")
    installation.make(target, *specs)
    theirs, ours = contents(target), contents(aside)
    assert len(theirs) > 10_000
    assert sorted(set(theirs) - set(ours)) == []
    assert [path for path in theirs if theirs[path] != ours[path]] == []
    assert all(path.startswith(("bin/", "share/conda-store")) for path in set(ours) - set(theirs))
    assert len(set(ours) - set(theirs)) == 7


def contents(root: Path) -> dict[str, bytes | str]:
    """Every file and link but conda's records, which name the machine's package cache."""
    found: dict[str, bytes | str] = {}
    for file in root.rglob("*"):
        path = str(file.relative_to(root))
        if file.is_symlink():
            found[path] = str(file.readlink())
        elif file.is_file() and not (path.startswith("conda-meta/") and path.endswith(".json")):
            found[path] = file.read_bytes()
        elif file.is_dir():
            found[path] = ""
    return found


def test_an_environment_without_python(installation: Installation, tmp_path: Path) -> None:
    lock = installation.make(tmp_path / "first", "jq", "odd-prefix")
    archive = write_archive(tmp_path / "first", lock, tmp_path / "a.tar.gz")
    installer = tmp_path / "installer.sh"
    with installer.open("wb") as file:
        file.writelines(
            installer_chunks(
                [(tmp_path / "a.tar.gz").read_bytes()],
                name="tools",
                platform=current_platform(),
                archive_size=archive.size,
                archive_sha256=archive.sha256,
            )
        )
    target = tmp_path / "a place" / "tools"
    subprocess.run(["dash", installer, "-b", "-p", target], check=True, env={}, timeout=PATIENCE)
    (tmp_path / "first").rename(tmp_path / "hidden")
    assert own_traces(target, str(tmp_path / "first").encode()) == []
    assert run_in(target, "which jq; echo '{\"a\": 1}' | jq .a").splitlines() == [f"{target}/bin/jq", "1"]


def test_rattler_takes_an_unpacked_environment_for_its_own(
    science: tuple[Path, PlatformLock], installation: Installation, tmp_path: Path
) -> None:
    prefix, lock = science
    write_archive(prefix, lock, tmp_path / "a.tar.gz")
    target = unpacked(tmp_path / "a.tar.gz", tmp_path / "target")
    records = [rattler.PrefixRecord.from_path(file) for file in (target / "conda-meta").glob("*.json")]
    assert {record.name.normalized for record in records} == {package.name for package in lock.conda}
    installation.make(target, "python=3.11", "numpy", "pandas", "ipykernel", "pip", "setuptools", "flask")
    assert "flask" in run_in(target, "python -c 'import flask; print(flask.__name__)'")
