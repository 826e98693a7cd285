"""Packages of a channel that means harm: nothing is read or written but the environment."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from conda_store.builder.seals import leads_out
from conda_store.domain.lock import PlatformLock, PyPIPackage
from conda_store.domain.platform import Platform
from conda_store.errors import BuildFailed, PackageCorrupt
from tests.unit.builder_install.conftest import Site, locked
from tools.channel.tiny import Symlink, write_package


def with_paths(package: Path, paths: list[dict[str, Any]]) -> Path:
    """The package with another list of its files."""
    with zipfile.ZipFile(package) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.startswith("info-"))
    information, written = io.BytesIO(zstandard.decompress(members[name], 1 << 30)), io.BytesIO()
    with tarfile.open(fileobj=information) as source, tarfile.open(fileobj=written, mode="w") as target:
        for member in source.getmembers():
            file = source.extractfile(member)
            content = file.read() if file else b""
            if member.name == "info/paths.json":
                content = json.dumps({"paths": paths, "paths_version": 1}).encode()
                member.size = len(content)
            target.addfile(member, io.BytesIO(content))
    members[name] = zstandard.compress(written.getvalue())
    with zipfile.ZipFile(package, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return package


def snapshot(directory: Path) -> Mapping[str, tuple[str, int]]:
    return {str(path): (path.read_text(), path.stat().st_mode) for path in directory.rglob("*") if path.is_file()}


DOTS = {"deep/a/b/fine": b"", "deep/victim/mine.py": b"changed", "deep/victim/more.py": b"evil"}


@pytest.mark.parametrize(
    ("files", "paths", "told"),
    [
        (
            {**DOTS, "s": Symlink("deep/a/b")},
            [{"_path": f"s/../../victim/{name}", "path_type": "hardlink"} for name in ("mine.py", "more.py")],
            "lies outside",
        ),
        (
            {**DOTS, "s": Symlink("deep/a/b")},
            [
                {"_path": "missing", "path_type": "hardlink"},
                {"_path": "missing/deeper", "path_type": "hardlink"},
                {"_path": "s/../../victim/mine.py", "path_type": "hardlink"},
            ],
            "lies outside",
        ),
        ({"fine": b"", "s": Symlink("{victim}")}, [{"_path": "s/mine.py", "path_type": "hardlink"}], "through a link"),
        (
            {"fine": b"", "s": Symlink("{victim}/mine.py")},
            [{"_path": "s", "path_type": "hardlink", "prefix_placeholder": "/placeholder", "file_mode": "text"}],
            "not told to be one",
        ),
        ({"fine": b"", "s": Symlink("{victim}/mine.py")}, [{"_path": "s", "path_type": "hardlink"}], "not told to be"),
        ({"fine": b"", "s": Symlink("{victim}/mine.py")}, [{"_path": "s"}], "evil-1.0"),
        ({"fine": b""}, [{"_path": "/etc/hostname", "path_type": "hardlink"}], "lies outside"),
    ],
    ids=[
        "written outside",
        "after a missing one",
        "read through a link",
        "copied from a link",
        "linked link",
        "link of no kind",
        "absolute",
    ],
)
def test_a_package_that_reaches_outside_is_not_installed(
    tmp_path: Path, files: dict[str, Any], paths: list[dict[str, Any]], told: str
) -> None:
    site = Site(tmp_path)
    victim = site.store / "victim"
    victim.mkdir(parents=True)
    (victim / "mine.py").write_text("mine")
    before = snapshot(victim)
    placed = {
        path: Symlink(item.target.format(victim=victim)) if isinstance(item, Symlink) else item
        for path, item in files.items()
    }
    package = with_paths(write_package(site.channel, "evil", "1.0", files=placed), paths)
    site.packages.append(locked(site.channel, package))
    for _ in range(2):
        with pytest.raises(PackageCorrupt, match=told):
            site.install()
        assert snapshot(victim) == before
        assert not (site.store / "environment").exists()
        assert list(site.cache.packages.glob("evil-*/")) == []


@pytest.mark.parametrize("is_relative", [True, False])
def test_a_link_of_one_package_is_no_way_for_another(tmp_path: Path, is_relative: bool) -> None:
    site = Site(tmp_path)
    victim = site.store / "victim" / "lib"
    victim.mkdir(parents=True)
    (victim / "mine.py").write_text("mine")
    before = snapshot(victim)
    site.add("a-link", files={"x": Symlink("../victim/lib" if is_relative else str(victim))})
    site.add("files", files={"x/mine.py": b"changed", "x/more.py": b"evil"}, depends=["a-link"])
    for name in ("one", "two"):
        site.install(name)
        assert snapshot(victim) == before


def with_python(site: Site, **arguments: Any) -> None:
    files = {"bin/python3.11": b"", **arguments.pop("files", {})}
    site.add("python", "3.11.0", build="0_cp311", subdir="linux-64", files=files)
    site.add("module", noarch="python", files={"site-packages/evil.py": b"evil"}, depends=["python"])


def test_a_python_tells_no_place_outside_for_modules(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with_python(site)
    site.packages[0] = replace(site.packages[0], python_site_packages_path="../victim")
    with pytest.raises(BuildFailed, match="its python_site_packages_path"):
        site.install()
    assert not (site.store / "victim").exists()


@pytest.mark.parametrize("link", ["lib/python3.11/site-packages", "lib/python3.11", "lib"])
def test_a_python_sends_no_modules_elsewhere_by_a_link(tmp_path: Path, link: str) -> None:
    site = Site(tmp_path)
    victim = site.store / "victim"
    (victim / "python3.11" / "site-packages").mkdir(parents=True)
    with_python(site, files={link: Symlink(str(victim))})
    for name in ("one", "two"):
        with contextlib.suppress(BuildFailed):
            site.install(name)
        assert snapshot(victim) == {}


@pytest.mark.parametrize("name", ["history", "state", "evil-1.0-0.json"])
def test_what_is_known_of_an_environment_is_written_into_it_alone(tmp_path: Path, name: str) -> None:
    site = Site(tmp_path)
    victim = site.store / "victim"
    victim.mkdir(parents=True)
    (victim / "mine").write_text("mine")
    before = snapshot(victim)
    site.add("evil", files={f"conda-meta/{name}": Symlink(str(victim / "mine")), "fine": b""})
    for number in ("one", "two"):
        site.install(number, variables={"A": "b"}, permissions=0o777)
        assert snapshot(victim) == before
        assert (site.store / number / "conda-meta" / name).is_file()


@pytest.mark.parametrize("package", ["module", "other"])
def test_nothing_is_compiled_or_installed_by_pip_by_way_of_a_link(tmp_path: Path, package: str) -> None:
    site = Site(tmp_path)
    victim = site.store / "victim"
    victim.mkdir(parents=True)
    python = Symlink(sys.executable)
    site.add("python", "3.11.0", build="0_cp311", subdir="linux-64", files={"bin/python": python})
    modules: dict[str, Any] = {"site-packages/evil/__init__.py": b"x = 1"}
    way, link = "evil/__pycache__", Symlink(str(victim))
    if package == "module":
        modules[f"site-packages/{way}"] = link
    else:
        site.add("other", files={f"lib/python3.11/site-packages/{way}": link})
    site.add("module", noarch="python", files=modules, depends=["python"])
    site.install("one", compiles_pyc=True)
    assert snapshot(victim) == {}
    pypi = (PyPIPackage("thing", "1", "file:///nowhere/thing-1-py3-none-any.whl", ()),)
    with pytest.raises(BuildFailed, match="leads out of the environment"):
        site.install("two", lock=PlatformLock(Platform.LINUX_64, tuple(site.packages), pypi))


def test_a_way_out_is_seen(tmp_path: Path) -> None:
    inside = tmp_path / "environment" / "lib" / "deep"
    inside.mkdir(parents=True)
    (inside / "same").symlink_to("../deep")
    (inside / "file").symlink_to(__file__)
    assert not leads_out(tmp_path / "environment")
    (inside / "out").symlink_to("../../..")
    assert leads_out(tmp_path / "environment")
