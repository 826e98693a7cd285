"""Environments of real packages: they run where they are served, also with a pip part."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from rattler import Gateway, MatchSpec, VirtualPackage, solve

from conda_store.builder.install import install
from conda_store.builder.options import BuilderOptions
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.ports import Installed, InstallRequest
from conda_store.builder.records import package_from_record
from conda_store.domain.lock import CondaPackage, PlatformLock, PyPIPackage
from conda_store.domain.platform import Platform
from conda_store.errors import LinkScriptFailed, PipFailed
from tests.processes import is_running
from tests.recording import Recorder
from tests.waiting import wait_for

pytestmark = pytest.mark.channel
LIMIT = 180.0  # seconds for anything that might hang


class Site:
    def __init__(self, channel: Path, root: Path, cache: PackageCache) -> None:
        self.channel = channel
        self.root = root
        self.cache = cache
        self.reporter = Recorder()
        # pip packages come from files only
        self.options = BuilderOptions(default_index_url="", is_offline=True)

    def lock(self, *specs: str, pypi: Iterable[PyPIPackage] = ()) -> PlatformLock:
        async def work() -> list[CondaPackage]:
            records = await solve(
                [self.channel.as_uri()],
                [MatchSpec(spec) for spec in specs],
                gateway=Gateway(cache_dir=self.root / "repodata"),
                platforms=["linux-64", "noarch"],
                virtual_packages=[package.into_generic() for package in VirtualPackage.detect()],
            )
            return [package_from_record(record) for record in records]

        return PlatformLock(Platform.LINUX_64, tuple(asyncio.run(work())), tuple(pypi))

    def install(self, name: str, lock: PlatformLock, **arguments: object) -> Installed:
        return asyncio.run(asyncio.wait_for(self.start(name, lock, **arguments), LIMIT))

    async def start(self, name: str, lock: PlatformLock, **arguments: object) -> Installed:
        request = InstallRequest(lock=lock, staging=self.root / f".{name}", prefix=self.root / name, **arguments)
        return await install(request, self.reporter, cache=self.cache, options=self.options)


def run(*command: str | Path, **variables: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT, env={"PATH": "/usr/bin:/bin", **variables}
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def totals(prefix: Path) -> tuple[int, int]:
    found = [Path(directory, name).lstat() for directory, _, names in os.walk(prefix) for name in names]
    return len(found), sum(status.st_size for status in found)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> PackageCache:
    return PackageCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def site(real_channel: Path, tmp_path: Path, cache: PackageCache) -> Site:
    return Site(real_channel, tmp_path, cache)


# --- distributions made on the spot ------------------------------------------------------------------------------

MODULE = "import sys\n\n\ndef main():\n    print('hello from', sys.prefix)\n"
BACKEND = """
import base64, hashlib, os, pathlib, time, zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    if os.path.exists("hang"):
        pathlib.Path(open("hang").read()).write_text(str(os.getpid()))
        time.sleep(600)
    name = "hello_pip-1.0-py3-none-any.whl"
    files = {
        "hello_pip.py": open("hello_pip.py").read(),
        "hello_pip-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: hello-pip\\nVersion: 1.0\\n",
        "hello_pip-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "hello_pip-1.0.dist-info/entry_points.txt": "[console_scripts]\\nhello-pip = hello_pip:main\\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record += f"{path},sha256={digest},{len(text)}\\n"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr("hello_pip-1.0.dist-info/RECORD", record + "hello_pip-1.0.dist-info/RECORD,,\\n")
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "hello-pip"
version = "1.0"
"""


def digest_of(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def wheel(folder: Path) -> PyPIPackage:
    path = folder / "hello_pip-1.0-py3-none-any.whl"
    files = {
        "hello_pip.py": MODULE,
        "hello_pip-1.0.data/scripts/hello-script": "#!python\nimport hello_pip\nhello_pip.main()\n",
        "hello_pip-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: hello-pip\nVersion: 1.0\n",
        "hello_pip-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "hello_pip-1.0.dist-info/entry_points.txt": "[console_scripts]\nhello-pip = hello_pip:main\n",
    }
    record = ""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            record += f"{name},sha256={digest},{len(text)}\n"
        archive.writestr("hello_pip-1.0.dist-info/RECORD", record + "hello_pip-1.0.dist-info/RECORD,,\n")
    return PyPIPackage("hello-pip", "1.0", path.as_uri(), (digest_of(path),))


def source_distribution(folder: Path, **more: str) -> PyPIPackage:
    path = folder / "hello_pip-1.0.tar.gz"
    information = "Metadata-Version: 2.1\nName: hello-pip\nVersion: 1.0\n"
    files = {"hello_pip.py": MODULE, "backend.py": BACKEND, "pyproject.toml": PROJECT, "PKG-INFO": information, **more}
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"hello_pip-1.0/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return PyPIPackage("hello-pip", "1.0", path.as_uri(), (digest_of(path),))


READ_HISTORY = """
import sys
from conda_lock._vendor.conda.history import History
print(*sorted(str(spec) for spec in History(sys.argv[1]).get_requested_specs_map().values()))
"""

# --- tests -------------------------------------------------------------------------------------------------------


def test_scientific_environment(site):
    lock = site.lock("python=3.11", "numpy", "pandas", "pip")
    installed = site.install("science", lock, requested=("python=3.11", "numpy", "pandas", "pip"), permissions=0o555)
    prefix = site.root / "science"
    assert (installed.files, installed.size) == totals(prefix)
    shown = run(prefix / "bin/python", "-c", "import numpy, pandas, sys; print(sys.prefix)")
    assert shown == str(prefix)
    assert "No broken requirements" in run(prefix / "bin/pip", "check")
    assert run(prefix / "bin/pip", "--version").endswith("(python 3.11)")
    # what `conda env export --from-history` reads, by conda itself
    asked = run(sys.executable, "-W", "ignore", "-c", READ_HISTORY, prefix)
    assert asked.split() == ["numpy", "pandas", "pip", "python=3.11"]


def test_noarch_modules_are_compiled_once(site):
    lock = site.lock("python=3.13", "flask")
    for name in ("one", "two"):
        installed = site.install(name, lock, compiles_pyc=True, permissions=0o555)
        assert (installed.files, installed.size) == totals(site.root / name)
    prefix = site.root / "two"
    done = subprocess.run(
        [prefix / "bin/python", "-v", "-c", "import flask, jinja2, click"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0
    assert f"{prefix}/lib/python3.13/site-packages/flask/__pycache__/app.cpython-313.pyc matches" in done.stderr
    assert "# wrote" not in done.stderr
    first, second = (next((site.root / name).rglob("flask/__pycache__/app.*.pyc")) for name in ("one", "two"))
    assert first.samefile(second)


@pytest.mark.parametrize("make", [wheel, source_distribution])
def test_pip_part_runs_after_the_rename(site, make, tmp_path):
    lock = site.lock("python=3.11", "pip", pypi=[make(tmp_path)])
    installed = site.install("with-pip", lock, compiles_pyc=True, variables={"GREETING": "hello"})
    prefix = site.root / "with-pip"
    assert run(prefix / "bin/hello-pip") == f"hello from {prefix}"
    if make is wheel:
        assert run(prefix / "bin/hello-script") == f"hello from {prefix}"
    assert "No broken requirements" in run(prefix / "bin/pip", "check")
    assert "hello-pip==1.0" in run(prefix / "bin/pip", "freeze", "--all")
    named = subprocess.run(["grep", "-rl", str(site.root / ".with-pip"), prefix], capture_output=True, text=True)
    assert named.stdout == ""
    # what the commands above compiled is not part of what was installed
    assert installed.files <= totals(prefix)[0]
    (prefix / "bin/python").chmod(0o755)
    assert "Successfully uninstalled" in run(prefix / "bin/pip", "uninstall", "--yes", "hello-pip")


def test_second_pip_installation_comes_out_of_the_cache(site, tmp_path):
    package = wheel(tmp_path)
    lock = site.lock("python=3.11", pypi=[package])
    site.install("one", lock)
    site.install("two", lock)
    one, two = (site.root / name / "lib/python3.11/site-packages/hello_pip.py" for name in ("one", "two"))
    assert one.samefile(two)
    assert not one.stat().st_mode & 0o222


def test_wrong_hash_of_a_pip_package(site, tmp_path):
    package = wheel(tmp_path)
    lock = site.lock("python=3.11", pypi=[PyPIPackage(package.name, "1.0", package.url, ("sha256:" + "0" * 64,))])
    with pytest.raises(PipFailed, match="Hash mismatch"):
        site.install("refused", lock)
    assert not (site.root / "refused").exists()
    assert not (site.root / ".refused").exists()


def test_cancelling_kills_uv_and_what_it_started(site, tmp_path):
    marker = tmp_path / "backend-runs"
    lock = site.lock("python=3.11", pypi=[source_distribution(tmp_path, hang=str(marker))])

    async def cancel() -> None:
        task = asyncio.create_task(site.start("cancelled", lock))
        while not marker.exists():
            assert not task.done(), await task
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancel(), LIMIT))
    pid = int(marker.read_text())
    wait_for("the end of the build backend", lambda: not is_running(pid))
    assert not (site.root / "cancelled").exists()
    assert not (site.root / ".cancelled").exists()


def test_odd_packages(site):
    lock = site.lock(
        "odd-prefix", "odd-symlink", "odd-modes", "odd-unicode", "odd-clobber-a", "odd-clobber-b", "odd-activate"
    )
    installed = site.install("odd", lock, permissions=0o755)
    assert (installed.files, installed.size) == totals(site.root / "odd")
    assert any("odd-clobber-a" in line and "odd-clobber-b" in line for line in site.reporter.lines)


def test_link_scripts_of_real_packages(site):
    lock = site.lock("odd-post-link")
    site.install("linked", lock, link_script_packages=frozenset({"odd-post-link"}))
    assert any("Running the post-link script of odd-post-link" in line for line in site.reporter.lines)
    with pytest.raises(LinkScriptFailed):
        site.install("failed", site.lock("odd-post-link-fails"), link_script_packages=frozenset({"*"}))
    assert not (site.root / "failed").exists()
