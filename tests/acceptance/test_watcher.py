"""Watched files and directories: the good ones are built, a broken one is reported and stops no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import tiny_channel
from tests.acceptance.service import API, Service, serving
from tests.waiting import wait_for
from tools.channel.serve import ChannelServer

GOOD = "name: {}\ndependencies: [{}]\n"
LATER = {"mended", "new", "moved", "marker", "single", "after"}  # of other tests


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory as it is when the service starts."""
    directory = tmp_path_factory.mktemp("watched")
    (directory / "a-broken.yaml").write_text("name: [broken\n")
    (directory / "b-good.yaml").write_text(GOOD.format("good", "one"))
    (directory / "binary.yaml").write_bytes(bytes(range(256)))
    (directory / "empty.yml").write_text("")
    (directory / "notes.txt").write_text(GOOD.format("notes", "one"))
    (directory / "traversal.yaml").write_text(GOOD.format("../evil", "one"))
    (directory / "unsolvable.yaml").write_text(GOOD.format("unsolvable", "no-such-package"))
    (directory / "y-link.yaml").symlink_to(directory / "not-there.yaml")
    (directory / "z-last.yml").write_text(GOOD.format("last", "two"))
    (directory / "directory.yaml").mkdir()
    return directory


@pytest.fixture(scope="module")
def service(watched: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    base = tmp_path_factory.mktemp("s")
    options = [f"--CondaStoreWorker.watch_paths={watched}", f"--CondaStoreWorker.watch_paths={base / 'single.yaml'}"]
    with (
        ChannelServer(tiny_channel(base / "channel")) as channel,
        serving(base / "s", *options, conda_default_channels=[channel.url]) as service,
    ):
        # what is there is seen first
        for name, status in (("good", "COMPLETED"), ("last", "COMPLETED"), ("unsolvable", "FAILED")):
            built(service, name, [status])
        yield service


def builds(service: Service, name: str) -> list[str]:
    """The states of an environment's builds, the oldest first."""
    answer = service.http.get(f"{API}/build/", params={"namespace": "filesystem", "name": name, "order": "asc"})
    return [build["status"] for build in answer.json()["data"]]


def built(service: Service, name: str, expected: list[str]) -> None:
    wait_for(f"{name}: {expected}", lambda: builds(service, name) == expected)


def test_good_files_are_built_whatever_stands_beside_them(service: Service, watched: Path) -> None:
    names = {row["name"] for row in service.http.get(f"{API}/environment/?namespace=filesystem").json()["data"]}
    assert names - LATER == {"good", "last", "unsolvable"}
    log = service.log_text()
    for name in ("a-broken.yaml", "binary.yaml", "empty.yml", "traversal.yaml"):
        assert f"{watched}/{name}" in log, f"{name} is not reported"
    assert "Traceback" not in log
    assert (service.link("good", "filesystem") / "share" / "one").is_dir()


def test_a_file_is_mended_and_another_comes_and_goes(service: Service, watched: Path) -> None:
    (watched / "a-broken.yaml").write_text(GOOD.format("mended", "three"))
    built(service, "mended", ["COMPLETED"])
    (watched / "new.yaml").write_text(GOOD.format("new", "one"))
    built(service, "new", ["COMPLETED"])
    (watched / "new.yaml").unlink()
    staged = watched / "moved.tmp"
    staged.write_text(GOOD.format("moved", "two"))
    staged.rename(watched / "moved.yaml")
    built(service, "moved", ["COMPLETED"])
    assert builds(service, "new") == ["COMPLETED"], "what was built stays when its file goes"
    assert (service.link("new", "filesystem") / "share" / "one").is_dir()


def test_the_same_content_is_not_built_twice(service: Service, watched: Path) -> None:
    built(service, "good", ["COMPLETED"])
    file = watched / "b-good.yaml"
    file.write_text(file.read_text())
    file.touch()
    file.write_text("# another comment\ndependencies:\n- one\nname: good\n")
    (watched / "marker.yaml").write_text(GOOD.format("marker", "one"))
    built(service, "marker", ["COMPLETED"])
    assert builds(service, "good") == ["COMPLETED"]
    file.write_text(GOOD.format("good", "two"))
    built(service, "good", ["COMPLETED", "COMPLETED"])


def test_a_single_file_that_comes_later(service: Service) -> None:
    single = service.directory.parent / "single.yaml"
    (service.directory.parent / "ignored.yaml").write_text(GOOD.format("ignored", "one"))
    single.write_text(GOOD.format("single", "one"))
    built(service, "single", ["COMPLETED"])
    assert builds(service, "ignored") == []


def test_nothing_is_built_again_after_a_restart(service: Service, watched: Path) -> None:
    before = service.rows("SELECT count(*) FROM build")
    service.stop()
    service.start()
    (watched / "after.yaml").write_text(GOOD.format("after", "one"))
    built(service, "after", ["COMPLETED"])
    assert service.rows("SELECT count(*) - 1 FROM build") == before
    service.is_clean()
