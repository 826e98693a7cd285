"""What surrounds uv: requirement lines, index variables, and moving what it wrote to the final prefix."""

from __future__ import annotations

import asyncio
import base64
import csv
import hashlib
import stat
from pathlib import Path

import pytest

from conda_store.builder.options import BuilderOptions
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.pip_install import (
    index_variables,
    install_pip_part,
    relocate,
    relocated_script,
    requirement_line,
)
from conda_store.builder.pyc import EnvironmentPython
from conda_store.domain.lock import PlatformLock, PyPIPackage
from conda_store.domain.platform import Platform
from conda_store.errors import PipFailed
from tests.recording import Recorder


@pytest.mark.parametrize(
    ("package", "line"),
    [
        (PyPIPackage("a", "1", "", ("sha256:00",)), "a==1 --hash=sha256:00"),
        (PyPIPackage("a", "1", "https://x/a.whl", ("sha256:00", "sha256:11")),
         "a @ https://x/a.whl --hash=sha256:00 --hash=sha256:11"),
        (PyPIPackage("a", "1", "https://x/a.whl#sha256=00", ("sha256:00",)), "a @ https://x/a.whl --hash=sha256:00"),
        (PyPIPackage("a", "1", "https://x/a.tgz#subdirectory=sub", ()), "a @ https://x/a.tgz#subdirectory=sub"),
        (PyPIPackage("a", "1", "git+https://x/a@abc", ()), "a @ git+https://x/a@abc"),
    ],
)  # fmt: skip
def test_requirement_line(package, line):
    assert requirement_line(package) == line


def test_index_variables():
    options = BuilderOptions(default_index_url="https://default/simple", find_links=("/wheels", "https://w/"))
    found = index_variables(
        ("--extra-index-url https://one/", "--extra-index-url=https://two/?a=b", "--trusted-host one"), options
    )
    assert found["UV_DEFAULT_INDEX"] == "https://default/simple"
    assert found["UV_INDEX"] == "https://one/ https://two/?a=b"
    assert found["UV_INSECURE_HOST"] == "one"
    assert found["UV_FIND_LINKS"] == "/wheels,https://w/"
    assert "UV_OFFLINE" not in found


def test_index_of_the_specification_wins():
    options = BuilderOptions(default_index_url="https://default/simple")
    assert index_variables(("--index-url https://mine/",), options)["UV_DEFAULT_INDEX"] == "https://mine/"


def test_no_index_at_all():
    found = index_variables((), BuilderOptions(default_index_url="", is_offline=True))
    assert found["UV_NO_INDEX"] == "1"
    assert found["UV_OFFLINE"] == "1"
    assert "UV_DEFAULT_INDEX" not in found


def test_pip_part_needs_a_python(site):
    site.add("anything", files={"a": "a"})
    lock = PlatformLock(Platform.LINUX_64, tuple(site.packages), (PyPIPackage("flask", "3", "", ()),))
    with pytest.raises(PipFailed, match="no python to install them into"):
        site.install(lock=lock)
    assert site.is_clean()


@pytest.mark.parametrize(
    "url", ["https://x/source-1.tar.gz", "git+https://x/source@abc", "git+https://x/source.whl@abc", "file:///a/b.zip"]
)
def test_sources_of_a_lock_are_not_built_where_only_wheels_are_taken(site, tmp_path, url):
    packages = (
        PyPIPackage("source", "1", url, ()),
        PyPIPackage("wheel", "1", "https://x/wheel-1-py3-none-any.whl", ()),
    )
    request = site.request(lock=PlatformLock(Platform.LINUX_64, (), packages))
    python = EnvironmentPython("lib/python3.11/site-packages", "cpython-3.11", ".cpython-311.pyc", True)
    cache = PackageCache(tmp_path / "cache")
    with pytest.raises(PipFailed, match=r"^source would have to be built") as caught:
        asyncio.run(install_pip_part(request, python, cache, BuilderOptions(only_wheels=True), Recorder()))
    assert "pip_only_wheels" in caught.value.hint


# --- relocation ------------------------------------------------------------------------------------------------

SITE_PACKAGES = "lib/python3.11/site-packages"


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    """A staging directory in which uv seems to have installed the distribution `thing`."""
    root = tmp_path / "staging"
    cache = tmp_path / "uv-cache"
    cache.mkdir()
    information = root / SITE_PACKAGES / "thing-1.0.dist-info"
    information.mkdir(parents=True)
    (root / "bin").mkdir()
    (root / SITE_PACKAGES / "thing.py").write_text("x = 1\n")
    (root / SITE_PACKAGES / "thing.py").rename(cache / "thing.py")
    (root / SITE_PACKAGES / "thing.py").hardlink_to(cache / "thing.py")
    script = root / "bin" / "thing"
    script.write_text(f"#!{root}/bin/python\nimport thing\n")
    script.chmod(0o755)
    (information / "INSTALLER").write_text("uv\n")
    (information / "direct_url.json").write_text('{"url": "https://x/thing.whl", "archive_info": {}}')
    names = ["../../../bin/thing", "thing.py", "thing-1.0.dist-info/INSTALLER", "thing-1.0.dist-info/direct_url.json"]
    record = "".join(f"{name},sha256=00,0\n" for name in names) + "thing-1.0.dist-info/RECORD,,\n"
    (information / "RECORD").write_text(record)
    return root


def rows(staging: Path) -> dict[str, list[str]]:
    with (staging / SITE_PACKAGES / "thing-1.0.dist-info/RECORD").open(newline="") as text:
        return {row[0]: row[1:] for row in csv.reader(text)}


def test_scripts_and_record_fit_the_prefix(staging):
    relocate(staging, Path("/final/prefix"), SITE_PACKAGES)
    script = staging / "bin/thing"
    assert script.read_text() == "#!/final/prefix/bin/python\nimport thing\n"
    assert script.stat().st_mode & 0o111
    digest = base64.urlsafe_b64encode(hashlib.sha256(script.read_bytes()).digest()).decode().rstrip("=")
    assert rows(staging)["../../../bin/thing"] == [f"sha256={digest}", str(script.stat().st_size)]


def test_release_of_an_index_is_not_said_to_come_from_a_url(staging):
    relocate(staging, Path("/final/prefix"), SITE_PACKAGES)
    assert "thing-1.0.dist-info/direct_url.json" not in rows(staging)
    assert not (staging / SITE_PACKAGES / "thing-1.0.dist-info/direct_url.json").exists()


def test_version_control_origin_is_kept(staging):
    path = staging / SITE_PACKAGES / "thing-1.0.dist-info/direct_url.json"
    path.write_text('{"url": "https://x/thing", "vcs_info": {"vcs": "git", "commit_id": "abc"}}')
    relocate(staging, Path("/final/prefix"), SITE_PACKAGES)
    assert path.exists()
    assert "thing-1.0.dist-info/direct_url.json" in rows(staging)


def test_files_shared_with_the_cache_become_read_only(staging, tmp_path):
    installed = relocate(staging, Path("/final/prefix"), SITE_PACKAGES)
    assert stat.S_IMODE((tmp_path / "uv-cache/thing.py").stat().st_mode) == 0o444
    assert "bin/thing" in installed.own
    assert f"{SITE_PACKAGES}/thing.py" not in installed.own
    assert installed.modules == (f"{SITE_PACKAGES}/thing.py",)
    assert installed.files == 4


def test_other_installers_files_are_left_alone(staging):
    (staging / SITE_PACKAGES / "thing-1.0.dist-info/INSTALLER").write_text("conda")
    assert relocate(staging, Path("/final/prefix"), SITE_PACKAGES).files == 0
    assert str(staging) in (staging / "bin/thing").read_text()


def test_shebang_too_long_for_the_kernel(staging):
    prefix = Path("/" + "p" * 200)
    text = relocated_script(staging / "bin/thing", staging, prefix).decode().splitlines()
    assert text[0] == "#!/bin/sh"
    assert text[1] == f"'''exec' '{prefix}/bin/python' \"$0\" \"$@\""
    assert text[2:] == ["' '''", "import thing"]


def test_shell_that_executes_the_interpreter(staging):
    script = staging / "bin/thing"
    script.write_text(f"#!/bin/sh\n'''exec' '{staging}/bin/python' \"$0\" \"$@\"\n' '''\nimport thing\n")
    assert relocated_script(script, staging, Path("/final")).decode().splitlines()[1].startswith("'''exec' '/final/bin")


def test_binary_programs_are_left_alone(staging):
    program = staging / "bin/program"
    program.write_bytes(b"\x7fELF\0" + str(staging).encode())
    assert relocated_script(program, staging, Path("/final")) is None
