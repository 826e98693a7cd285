"""From a lock of tiny packages to a prefix."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rattler.platform import Subdir
from rattler.shell import ActivationVariables, Shell, activate

from conda_store.builder.install import install
from conda_store.builder.transaction import Events
from conda_store.domain.build import Phase
from conda_store.domain.lock import CondaPackage
from conda_store.errors import BuildFailed, PrefixTooLong
from tests.recording import Recorder
from tools.channel.tiny import PLACEHOLDER, Symlink


def test_prefix_is_complete_and_names_itself(site, measure):
    site.add("shell-tool", files={"bin/tool": f"#!{PLACEHOLDER}/bin/sh\n", "share/plain": "plain\n"})
    site.add("binary-tool", files={"lib/blob": b"\0" + PLACEHOLDER.encode() + b"\0end"})

    installed = site.install(requested=("shell-tool", "binary-tool >=1"))

    prefix = site.store / "environment"
    assert (prefix / "bin/tool").read_text() == f"#!{prefix}/bin/sh\n"
    blob = (prefix / "lib/blob").read_bytes()
    assert blob.startswith(b"\0" + str(prefix).encode() + b"\0")
    assert len(blob) == len(PLACEHOLDER) + 5
    assert (installed.files, installed.size) == measure(prefix)
    assert {path.name for path in site.store.iterdir()} == {"environment"}


def test_records_carry_what_the_lock_says(site):
    package = site.add("noted", build="h1_3", build_number=3, depends=["other >=1"], license="MIT")
    site.add("other", noarch="generic")
    site.packages[0] = replace(package, track_features=("odd",), python_site_packages_path="lib/x")

    site.install(requested=("noted=1.0", "not a match spec !!"))

    path = site.store / "environment/conda-meta/noted-1.0-h1_3.json"
    record = json.loads(path.read_bytes())
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    expected = {
        "md5": package.md5, "sha256": package.sha256, "size": package.size, "depends": ["other >=1"],
        "build_number": 3, "noarch": "generic", "timestamp": package.timestamp, "license": "MIT",
        "url": package.url, "python_site_packages_path": "lib/x", "requested_specs": ["noted 1.0.*"],
        "fn": "noted-1.0-h1_3.conda",
    }  # fmt: skip
    assert {key: record[key] for key in expected} == expected
    assert record["track_features"] in ("odd", ["odd"])


def test_history_tells_what_was_asked_for(site):
    package = site.add("asked")
    site.install(requested=("asked >=1",))
    lines = (site.store / "environment/conda-meta/history").read_text().splitlines()
    assert lines[0].startswith("==> 20")
    assert f"+{package.channel}/noarch::asked-1.0-0" in lines
    assert lines[-1] == "# update specs: ['asked >=1']"


def test_environment_is_not_marked_as_a_cache(site):
    site.add("anything", files={"a": "a"})
    site.install()
    assert not (site.store / "environment/CACHEDIR.TAG").exists()


def test_activation_sets_the_variables(site):
    site.add("anything", files={"a": "a"})
    site.install(variables={"GREETING": "good day ' \" end", "NUMBER": "3"})
    prefix = site.store / "environment"
    result = activate(prefix, ActivationVariables(None, []), Shell.bash, Subdir("linux-64"))
    script = f'{result.script}\nprintf "%s|%s" "$GREETING" "$NUMBER"'
    out = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20, check=True).stdout
    assert out == "good day ' \" end|3"


def test_log_and_progress(site):
    for number in range(3):
        site.add(f"part-{number}", files={f"share/{number}": "x" * 1000})
    site.install()
    text = site.reporter.text
    assert "Preparing transaction:" in text
    assert "Executing transaction: 0 packages from the cache, 3 to download" in text
    assert "| 3 of 3" in text
    last = site.reporter.steps[-1]
    assert (last.packages_linked, last.remaining) == (last.packages_total, ())
    assert (last.phase, last.packages_done, last.packages_total) == (Phase.FINISHING, 3, 3)
    assert max(step.bytes_done for step in site.reporter.steps) == sum(package.size for package in site.packages)

    site.reporter.lines.clear()
    site.install("second")
    assert "DOWNLOAD" not in site.reporter.text
    assert "Executing transaction: 3 packages from the cache, 0 to download" in site.reporter.text


def test_empty_lock_gives_an_empty_environment(site, measure):
    installed = site.install()
    assert (installed.files, installed.size) == measure(site.store / "environment")
    assert (site.store / "environment/conda-meta/history").exists()


def test_links_unicode_and_empty_files(site, measure):
    files = {"share/ünï/ко́д.txt": "text", "share/empty": "", "share/link": Symlink("ünï/ко́д.txt")}
    site.add("odd-names", files=files)
    installed = site.install()
    prefix = site.store / "environment"
    assert (prefix / "share/link").read_text() == "text"
    assert (installed.files, installed.size) == measure(prefix)


def test_two_packages_with_one_path_are_told(site, measure):
    site.add("aaa", files={"share/both": "from aaa"})
    site.add("bbb", files={"share/both": "from bbb"})
    installed = site.install()
    prefix = site.store / "environment"
    winner = (prefix / "share/both").read_text().removeprefix("from ")
    loser = {"aaa", "bbb"} - {winner}
    line = f"share/both is in several packages: the one of {winner} is used, not {loser.pop()}'s"
    assert line in site.reporter.lines
    assert (installed.files, installed.size) == measure(prefix)


@pytest.mark.parametrize("length", [255, 256])
def test_prefix_length(site, length, run_async):
    site.add("anything", files={"bin/tool": f"#!{PLACEHOLDER}/bin/sh\n"})
    name = "x" * 100 + "/"
    path = f"{site.store}/{name * 3}"[:length]
    path = path + "y" * (length - len(path)) if not path.endswith("/") else path[:-1] + "y"
    request = replace(site.request(), prefix=Path(path))
    work = install(request, site.reporter, cache=site.cache, options=site.options)
    if length == 255:
        run_async(work)
        assert Path(path, "bin/tool").exists()
    else:
        with pytest.raises(PrefixTooLong) as caught:
            run_async(work)
        assert str(caught.value) == "build_path too long: must be <= 255 characters"
        assert not site.store.exists()


def test_leftovers_of_a_killed_attempt_are_set_aside(site):
    site.add("anything", files={"a": "a"})
    for path in (site.store / ".staging-environment", site.store / "environment"):
        (path / "lib").mkdir(parents=True)
        (path / "lib/half").write_text("half")
    site.install()
    assert not (site.store / "environment/lib").exists()
    assert len(list((site.store / ".trash").iterdir())) == 2


def test_one_who_fails_leaves_the_prefix_of_another_attempt(site):
    """It was taken for lost, and goes on when another has completed the build."""
    site.add("anything", files={"a": "a"})

    class Overtaken(Recorder):
        def log(self, text):
            (site.store / "environment/lib").mkdir(parents=True)
            raise BuildFailed("the lease is lost")

    site.reporter = Overtaken()
    with pytest.raises(BuildFailed, match="the lease is lost"):
        site.install()
    assert {path.name for path in site.store.iterdir()} - {".trash"} == {"environment"}
    assert (site.store / "environment/lib").is_dir()


def test_leftovers_go_where_the_request_says(site, tmp_path):
    site.add("anything", files={"a": "a"})
    (site.store / "environment").mkdir(parents=True)
    site.install(trash=tmp_path / "bin")
    assert len(list((tmp_path / "bin").iterdir())) == 1
    assert not (site.store / ".trash").exists()


def test_version_that_is_none_is_said(site):
    package = site.add("anything", files={"a": "a"})
    site.packages = [replace(package, version="not a version!")]
    with pytest.raises(BuildFailed, match="anything not a version! of the lock cannot be installed"):
        site.install()
    assert site.is_clean()


def test_noarch_python_entry_points(site, measure):
    site.add(
        "python", "3.11.5", subdir="linux-64", files={"bin/python": "#!/bin/sh\n", "bin/python3.11": "#!/bin/sh\n"}
    )
    site.add(
        "app",
        noarch="python",
        depends=["python"],
        files={"site-packages/app.py": "def main(): ...\n", "python-scripts/run-app": f"#!{PLACEHOLDER}/bin/python\n"},
        entry_points=["app = app:main", "app-two = app:main"],
    )
    installed = site.install(permissions=0o750)
    prefix = site.store / "environment"
    assert (prefix / "lib/python3.11/site-packages/app.py").exists()
    assert (installed.files, installed.size) == measure(prefix)
    for command in ("app", "app-two", "run-app"):
        assert stat.S_IMODE((prefix / "bin" / command).stat().st_mode) == 0o750


# --- shared files ----------------------------------------------------------------------------------------------


def test_environments_share_read_only_files(site):
    site.add("shared", files={"share/data": "data", "bin/program": "#!/bin/sh\n"})
    site.install("one")
    site.install("two")
    one, two = ((site.store / name / "share/data").stat() for name in ("one", "two"))
    assert one.st_ino == two.st_ino
    assert stat.S_IMODE(one.st_mode) == 0o444
    assert stat.S_IMODE((site.store / "one/bin/program").stat().st_mode) == 0o555


def test_equal_names_from_two_channels_are_two_packages(site, tmp_path):
    first = site.add("twin", files={"share/twin": "first"})
    site.install("one")
    site.channel = tmp_path / "other-channel"
    site.packages = []
    second = site.add("twin", files={"share/twin": "second"})
    assert first.file_name == second.file_name
    site.install("two")
    assert (site.store / "one/share/twin").read_text() == "first"
    assert (site.store / "two/share/twin").read_text() == "second"
    assert site.cache.seal_of(first)
    assert site.cache.seal_of(second)


# --- modes and owners ------------------------------------------------------------------------------------------


def modes(prefix: Path, *, is_directory: bool) -> set[int]:
    found = set()
    for directory, _, names in os.walk(prefix):
        if is_directory:
            found.add(stat.S_IMODE(Path(directory).stat().st_mode))
        else:
            paths = [Path(directory, name) for name in names]
            found |= {stat.S_IMODE(path.stat().st_mode) for path in paths if path.lstat().st_nlink == 1}
    return found


@pytest.mark.parametrize(
    ("mode", "files"), [(0o775, {0o664, 0o775}), (0o555, {0o444, 0o555}), (0o700, {0o600, 0o700}), (None, None)]
)
def test_modes_of_directories_and_own_files(site, mode, files):
    site.add("some", files={"share/deep/er/data": "x", "bin/tool": f"#!{PLACEHOLDER}\n", "etc/text": PLACEHOLDER})
    before = os.umask(0o022)
    try:
        site.install(permissions=mode)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    prefix = site.store / "environment"
    assert modes(prefix, is_directory=True) == {0o755 if mode is None else mode}
    if files is not None:
        assert modes(prefix, is_directory=False) == files
    assert stat.S_IMODE((prefix / "share/deep/er/data").stat().st_mode) == 0o444


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser gives files away")
def test_owner_of_directories_and_own_files(site):
    site.add("some", files={"share/data": "x", "etc/text": PLACEHOLDER})
    site.install(uid=1234, gid=2345)
    prefix = site.store / "environment"
    for path in (prefix, prefix / "share", prefix / "etc/text", prefix / "conda-meta/history"):
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (1234, 2345), path
    assert (prefix / "share/data").stat().st_uid == 0


def test_what_remains_is_told_by_name_what_is_being_fetched_first():
    missing = [CondaPackage(name, "1", "0", "noarch", f"https://c.example/{name}-1-0.conda", "https://c.example")
               for name in ("a", "b")]  # fmt: skip
    events = Events(missing, done=1, total=3, on_extracted=lambda name: None)
    events.on_populate_cache_start(0, "b")
    assert (events.progress().phase, events.progress().remaining) == (Phase.DOWNLOADING, ("b", "a"))
    events.on_populate_cache_start(1, "a")
    events.on_populate_cache_complete(0)
    assert events.progress().remaining == ("a",)
    events.on_populate_cache_complete(1)
    assert (events.progress().phase, events.progress().remaining) == (Phase.LINKING, ("a", "b"))
    events.on_link_complete(events.on_link_start(0, "a"))
    assert (events.progress().packages_linked, events.progress().remaining) == (2, ("b",))
