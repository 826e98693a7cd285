import io
import tarfile
import threading
from pathlib import Path

import pytest

from conda_store.client.kept import MARK, KeptEnvironments, passing_environment
from conda_store.client.models import Build
from conda_store.errors import CondaStoreError, ServerError

UNPACK = b'#!/bin/sh\nhere=$(cd "$(dirname "$0")/.." && pwd)\nprintf %s "$here" > "$here/where"\n'


def a_build(build_id: int = 7, scheduled_on: str = "2026-11-21T03:27:27") -> Build:
    row = {"id": build_id, "environment_id": 1, "status": "COMPLETED", "scheduled_on": scheduled_on}
    return Build.read(row | {"specification": {"sha256": "ab"}})


class Server:
    """Counts how often an archive is fetched."""

    def __init__(self, *, unpack: bytes = UNPACK, activate: bool = True) -> None:
        self.fetched = 0
        self._files = {"bin/conda-unpack": unpack} | ({"bin/activate": b""} if activate else {})

    def fetch(self, target: Path) -> None:
        self.fetched += 1
        with tarfile.open(target, "w:gz") as archive:
            for name, content in self._files.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(content), 0o755
                archive.addfile(info, io.BytesIO(content))


def test_an_environment_is_fetched_once_and_knows_its_prefix(tmp_path: Path) -> None:
    kept, server = KeptEnvironments(tmp_path, "http://localhost:8080"), Server()
    prefix = kept.ensure(a_build(), server.fetch)
    assert kept.ensure(a_build(), server.fetch) == prefix
    assert server.fetched == 1
    assert (prefix / "where").read_text() == str(prefix)
    assert sorted(path.name for path in prefix.parent.iterdir()) == [prefix.name, f"{prefix.name}.lock"]


def test_servers_and_builds_do_not_collide(tmp_path: Path) -> None:
    one, other = (KeptEnvironments(tmp_path, f"http://localhost:808{n}/x") for n in range(2))
    prefixes = {
        one.prefix(a_build(7)),
        one.prefix(a_build(8)),
        one.prefix(a_build(7, "2027-01-01T00:00:00")),
        other.prefix(a_build(7)),
    }
    assert len(prefixes) == 4
    assert KeptEnvironments(tmp_path, "http://LOCALHOST:8080/x/").prefix(a_build(7)) in prefixes


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    kept, server = KeptEnvironments(tmp_path, "http://localhost:8080"), Server()
    prefix = kept.prefix(a_build())
    for debris in (prefix, prefix.with_name(f"{prefix.name}.staging")):
        debris.mkdir(parents=True)
        (debris / "half").touch()
    kept.ensure(a_build(), server.fetch)
    assert (prefix / MARK).exists()
    assert not (prefix / "half").exists()
    assert not prefix.with_name(f"{prefix.name}.staging").exists()


def test_runs_at_the_same_moment_share_one_download(tmp_path: Path) -> None:
    server = Server()
    begun, go_on, waits = threading.Event(), threading.Event(), threading.Event()

    def slow_fetch(target: Path) -> None:
        begun.set()
        assert go_on.wait(30)
        server.fetch(target)

    def first() -> None:
        KeptEnvironments(tmp_path, "http://localhost:8080").ensure(a_build(), slow_fetch)

    def second() -> None:
        KeptEnvironments(tmp_path, "http://localhost:8080").ensure(a_build(), server.fetch, on_wait=waits.set)

    one, other = threading.Thread(target=first), threading.Thread(target=second)
    one.start()
    assert begun.wait(30)
    other.start()
    assert waits.wait(30)
    go_on.set()
    one.join(30)
    other.join(30)
    assert server.fetched == 1


@pytest.mark.parametrize(
    ("server", "text"),
    [
        (Server(unpack=b"#!/bin/sh\necho broken list >&2\nexit 3\n"), "status 3: broken list"),
        (Server(activate=False), "no bin/activate"),
    ],
)
def test_an_environment_that_cannot_be_made_leaves_nothing(tmp_path: Path, server: Server, text: str) -> None:
    kept = KeptEnvironments(tmp_path, "http://localhost:8080")
    with pytest.raises(ServerError, match=text):
        kept.ensure(a_build(), server.fetch)
    assert [path.suffix for path in kept.directory.iterdir()] == [".lock"]


def test_a_prefix_that_would_be_too_long_is_refused_before_the_download(tmp_path: Path) -> None:
    server = Server()
    root = tmp_path / ("x" * 200) / ("y" * 100)
    with pytest.raises(CondaStoreError, match="255 characters") as raised:
        KeptEnvironments(root, "http://localhost:8080").ensure(a_build(), server.fetch)
    assert "XDG_CACHE_HOME" in raised.value.hint
    assert server.fetched == 0


def test_the_latest_kept_one_of_an_id_is_known(tmp_path: Path) -> None:
    kept, server = KeptEnvironments(tmp_path, "http://localhost:8080"), Server()
    assert kept.latest(7) is None
    prefix = kept.ensure(a_build(7), server.fetch)
    kept.ensure(a_build(77), server.fetch)
    assert kept.latest(7) == prefix


def test_a_passing_environment_passes() -> None:
    with passing_environment(Server().fetch) as prefix:
        assert (prefix / "where").read_text() == str(prefix)
    assert not prefix.parent.exists()
