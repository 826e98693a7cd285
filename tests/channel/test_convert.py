"""Wheels made by hand, and the packages they become. The Python that runs the tests does the byte-compiling."""

from __future__ import annotations

import json
import platform
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.channel.conda_package import PLACEHOLDER, File
from tools.channel.convert import conversions
from tools.channel.interpreter import Interpreter
from tools.channel.store import Cache, Made
from tools.channel.tiny import index, write_package
from tools.channel.wheels import Wheel, Wheels

PYTHON = platform.python_version()
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
TAG = MINOR.replace(".", "")


def write_wheel(folder: Path, name: str, tag: str, files: dict[str, str], *metadata: str) -> Wheel:
    path = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        headers = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *metadata]
        archive.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join(headers))
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "of the wheel")
        for inside, text in files.items():
            archive.writestr(inside, text)
    return Wheel(path)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def convert(cache: Cache, wheel: Wheel, other: str = "3.99.0") -> list[Made]:
    """The packages of a channel with this Python and another one, of which nothing but the version is used."""
    made = Made("", "", {}, {})
    this = Interpreter(MINOR, PYTHON, Path(sys.executable), made)
    pythons = {MINOR: PYTHON, ".".join(other.split(".")[:2]): other}
    interpreters = {minor: Interpreter(minor, version, this.executable, made) for minor, version in pythons.items()}
    return [one.make(cache) for one in conversions(Wheels([wheel], pythons), interpreters)]


def test_pure_wheel(tmp_path: Path, cache: Cache, install_from: Callable[..., list[str]]) -> None:
    files = {
        "tiny.py": "def main():\n    print('hello')\n",
        "tiny-1.0.dist-info/entry_points.txt": "[console_scripts]\nTiny = tiny:main\nold = tiny : main [extra]\n",
        "tiny-1.0.dist-info/licenses/LICENSE": "free",
        "tiny-1.0.data/scripts/tiny-script": "#!python\nimport tiny\n",
        "tiny-1.0.data/data/share/jupyter/kernels/x/kernel.json": json.dumps({"argv": ["python3", "-m", "x"]}),
    }
    metadata = ("Requires-Python: >=3.9", "Requires-Dist: other<2", "License-Expression: MIT")
    [made] = convert(cache, write_wheel(tmp_path, "tiny", "py3-none-any", files, *metadata))
    assert made.path.startswith("noarch/tiny-1.0-pyh")
    assert made.record["depends"] == ["other <2.0a0", "python >=3.9"]
    assert (made.record["noarch"], made.record["license"]) == ("python", "MIT")

    channel, prefix = tmp_path / "channel", tmp_path / "env"
    cache.place(made, channel)
    write_package(channel, "other", "1.0")
    write_package(channel, "python", PYTHON, subdir="linux-64")
    index(channel)
    install_from(channel, prefix, "tiny")
    assert (prefix / "bin/Tiny").exists() and (prefix / "bin/old").exists()
    assert (prefix / "bin/tiny-script").read_text() == f"#!{prefix}/bin/python\nimport tiny\n"
    kernel = json.loads((prefix / "share/jupyter/kernels/x/kernel.json").read_text())
    assert kernel["argv"] == [f"{prefix}/bin/python", "-m", "x"]
    info = prefix / f"lib/python{MINOR}/site-packages/tiny-1.0.dist-info"
    assert (info / "INSTALLER").read_text() == "conda\n"
    record = (info / "RECORD").read_text()
    assert "../../../bin/tiny-script,,\n" in record and "\ntiny.py,sha256=" in record


def test_wheel_for_one_python_is_byte_compiled(tmp_path: Path, cache: Cache) -> None:
    files = {"fast.py": "x = 1\n", "fast-1.0.dist-info/entry_points.txt": "[console_scripts]\nfast = fast:main\n"}
    wheel = write_wheel(tmp_path, "fast", f"cp{TAG}-cp{TAG}-manylinux_2_28_x86_64", files)
    [made] = convert(cache, wheel)
    assert made.path.startswith(f"linux-64/fast-1.0-py{TAG}h")
    depends = made.record["depends"]
    assert isinstance(depends, list)
    assert {"__glibc >=2.28,<3.0.a0", f"python_abi {MINOR}.* *_cp{TAG}"} <= set(depends)
    cache.place(made, tmp_path / "channel")
    with zipfile.ZipFile(tmp_path / "channel" / made.path) as package:
        assert package.namelist()[0] == "metadata.json"


def test_abi3_wheel_is_noarch_inside_the_platform(tmp_path: Path, cache: Cache) -> None:
    tag = f"cp{TAG}-abi3-manylinux_2_17_x86_64"
    [made] = convert(cache, write_wheel(tmp_path, "stable", tag, {}, "Requires-Python: >=3.8"), other="3.10.0")
    assert made.path.startswith("linux-64/stable-1.0-abi3h")
    assert made.record["noarch"] == "python"
    # 3.10 satisfies Requires-Python but cannot load it
    assert f"python >={MINOR}" in str(made.record["depends"])


def test_dependencies_that_differ_give_a_package_for_each_python(tmp_path: Path, cache: Cache) -> None:
    wheel = write_wheel(tmp_path, "both", "py3-none-any", {}, "Requires-Dist: backport; python_version >= '3.99'")
    this, other = convert(cache, wheel)
    assert "backport" not in str(this.record["depends"])
    assert "backport" in str(other.record["depends"])


def test_byte_code_is_valid_for_the_time_of_the_package() -> None:
    interpreter = Interpreter(MINOR, PYTHON, Path(sys.executable), Made("", "", {}, {}))
    tree = {
        "pkg/mod.py": File(b"x = 1\n"),
        "pkg/broken.py": File(b"def"),
        "pkg/moves.py": File(f"prefix = {PLACEHOLDER!r}\n".encode()),
    }
    compiled = interpreter.byte_compiled(dict(tree), 1_600_000_000)
    assert list(compiled) == [f"pkg/__pycache__/mod.cpython-{TAG}.pyc"]
    [pyc] = compiled.values()
    assert isinstance(pyc, File)
    assert int.from_bytes(pyc.data[8:12], "little") == 1_600_000_000
