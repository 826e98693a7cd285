"""Compiled modules of noarch packages, made by the Python that runs these tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conda_store.builder.pyc import environment_python
from conda_store.domain.lock import CondaPackage, PlatformLock
from conda_store.domain.platform import Platform
from tools.channel.tiny import PLACEHOLDER

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
SITE_PACKAGES = f"lib/python{VERSION}/site-packages"
TAG = sys.implementation.cache_tag


@pytest.fixture
def modules(site):
    runner = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
    site.add("python", f"{VERSION}.1", subdir="linux-64", files={"bin/python": runner})
    files = {
        "site-packages/app/__init__.py": "def where():\n    raise ValueError\n",
        "site-packages/app/own.py": f"PREFIX = {PLACEHOLDER!r}\n",
        "site-packages/app/broken.py": "def broken(:\n",
        "site-packages/single.py": "VALUE = 1\n",
    }
    site.add("app", noarch="python", depends=["python"], files=files)
    return site


def run_python(prefix: Path, code: str) -> str:
    command = [sys.executable, "-v", "-c", f"import sys; sys.path.insert(0, {str(prefix / SITE_PACKAGES)!r})\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stderr


def test_pyc_are_valid_linked_and_counted(modules, measure):
    first = modules.install("first", compiles_pyc=True)
    second = modules.install("second", compiles_pyc=True)
    one, two = (modules.store / name / SITE_PACKAGES for name in ("first", "second"))
    compiled = sorted(path.relative_to(one).as_posix() for path in one.rglob("*.pyc"))
    assert compiled == [f"__pycache__/single.{TAG}.pyc", f"app/__pycache__/__init__.{TAG}.pyc"]
    for path in compiled:
        assert (one / path).samefile(two / path)
    assert (first.files, first.size) == measure(modules.store / "first")
    assert (second.files, second.size) == measure(modules.store / "second")
    assert modules.reporter.text.count("Compiling the modules of 1 packages") == 1

    shown = run_python(modules.store / "second", "import app, single")
    assert f"{two}/app/__pycache__/__init__.{TAG}.pyc matches {two}/app/__init__.py" in shown
    assert f"{two}/__pycache__/single.{TAG}.pyc matches {two}/single.py" in shown
    assert "# wrote" not in shown


def test_tracebacks_name_the_environment(modules):
    modules.install("first", compiles_pyc=True)
    modules.install("second", compiles_pyc=True)
    code = "import app, traceback\ntry: app.where()\nexcept ValueError: traceback.print_exc()"
    assert f'"{modules.store}/second/{SITE_PACKAGES}/app/__init__.py"' in run_python(modules.store / "second", code)


def test_off_by_default(modules):
    modules.install()
    assert not list((modules.store / "environment").rglob("*.pyc"))


def test_interrupted_compilation_is_done_again(modules):
    modules.install("first", compiles_pyc=True)
    manifest = next(modules.cache.pyc.glob("*/*/manifest.json"))
    assert len(json.loads(manifest.read_bytes())) == 2
    manifest.parent.rename(manifest.parent.with_name(".draft"))
    modules.install("second", compiles_pyc=True)
    assert len(list((modules.store / "second").rglob("*.pyc"))) == 2


def test_python_that_does_not_run_here_gives_no_pyc_but_an_environment(site):
    site.add("python", f"{VERSION}.1", subdir="linux-64", files={"bin/python": "#!/bin/sh\nexit 1\n"})
    site.add("app", noarch="python", depends=["python"], files={"site-packages/app.py": "VALUE = 1\n"})
    site.install(compiles_pyc=True)
    assert (site.store / "environment" / SITE_PACKAGES / "app.py").exists()


@pytest.mark.parametrize(
    ("version", "build", "tag", "site_packages", "is_cpython"),
    [
        ("3.13.2", "h1_0_cp313", "cpython-3.13", "lib/python3.13/site-packages", True),
        ("3.13.2", "h1_0_cp313t", "cpython-3.13t", "lib/python3.13t/site-packages", True),
        ("3.15.0a2", "h1_0_cp315", "cpython-3.15.0a2", "lib/python3.15/site-packages", True),
        ("3.9.18", "0_73_pypy", "cpython-3.9", "lib/python3.9/site-packages", False),
    ],
)
def test_environment_python(version, build, tag, site_packages, is_cpython):
    python = CondaPackage("python", version, build, "linux-64", "http://x/python-1-0.conda", "http://x")
    found = environment_python(PlatformLock(Platform.LINUX_64, (python,)))
    assert (found.tag, found.site_packages, found.is_cpython) == (tag, site_packages, is_cpython)


def test_no_python():
    assert environment_python(PlatformLock(Platform.LINUX_64)) is None
