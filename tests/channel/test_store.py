"""Plans, the cache and putting a channel together; no downloads."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

import pytest

from tests.waiting import wait_for
from tools.channel import ChannelError
from tools.channel.conda_package import File, Package
from tools.channel.libraries import SUBDIR
from tools.channel.oddities import oddities
from tools.channel.plan import read_plan
from tools.channel.stand_ins import stand_ins
from tools.channel.store import Cache, Made, assemble, package_key

HERE = Path(__file__).parents[2]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def make(cache: Cache, name: str, content: str = "") -> Made:
    package = Package(name, "1.0", noarch="generic")
    return cache.package(package_key(name, content), lambda: (package, {f"share/{name}": File(content.encode())}))


def test_a_package_is_made_once(cache: Cache) -> None:
    first = make(cache, "one")
    assert cache.package(first.key, lambda: pytest.fail("made again")) == first


def test_assemble_places_prunes_and_then_has_nothing_to_do(cache: Cache, tmp_path: Path) -> None:
    out = tmp_path / "channel"
    assert assemble(out, [make(cache, "one"), make(cache, "two")], cache)
    assert not assemble(out, [make(cache, "one"), make(cache, "two")], cache)
    assert assemble(out, [make(cache, "two", "changed")], cache)
    assert [path.name for path in out.glob("*/*.conda")] == ["two-1.0-0.conda"]
    assert (out / "noarch/repodata_shards.msgpack.zst").exists()
    (out / "noarch/two-1.0-0.conda").unlink()
    assert assemble(out, [make(cache, "two", "changed")], cache)


def test_a_directory_of_something_else_is_left_alone(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ChannelError, match="not empty"):
        assemble(tmp_path, [make(cache, "one")], cache)


def hold(directory: Path) -> None:
    with Cache(directory).locked():
        (directory / "held").touch()
        wait_for("the sign to let go", (directory / "let go").exists)


def test_the_cache_is_one_runs_at_a_time(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    has_it = threading.Event()

    def take() -> None:
        with cache.locked():
            has_it.set()

    other = multiprocessing.get_context("spawn").Process(target=hold, args=(cache.directory,))
    other.start()
    wait_for("the other run", (cache.directory / "held").exists)
    ours = threading.Thread(target=take, daemon=True)
    ours.start()
    assert not has_it.wait(0.2)
    (cache.directory / "let go").touch()
    assert has_it.wait(60)
    ours.join(60)
    other.join(60)
    assert "waiting for another run" in capsys.readouterr().out


def test_stand_ins_keep_names_and_dependencies_but_those_of_the_system(cache: Cache) -> None:
    def compiled() -> tuple[Package, dict[str, File]]:
        return Package("numpy", "2.0", "py311_0", subdir=SUBDIR, depends=("python >=3.11", "__glibc >=2.28")), {}

    made = stand_ins(cache, [cache.package("0" * 24, compiled)], ["win-64"])
    assert [one.path for one in made] == [
        "win-64/tiny-lib-1.0-0.conda",
        "linux-64/tiny-lib-1.0-0.conda",
        "win-64/numpy-2.0-py311_0.conda",
    ]
    assert made[-1].record["depends"] == ["python >=3.11"]


def test_oddities_are_all_packable(cache: Cache) -> None:
    names = {str(made.record["name"]) for made in oddities(cache)}
    assert {"odd-clobber-a", "odd-clobber-b", "odd-modes", "odd-post-link", "demo-conflict", "demo-cuda"} <= names


@pytest.mark.parametrize("plan", sorted(HERE.glob("tools/channel/*.toml")), ids=lambda path: path.stem)
def test_committed_plans_can_be_read(plan: Path) -> None:
    assert read_plan(plan).pythons["3.11"] == "auto"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "no TOML"),
        ("odd = true", "names no Python"),
        ("[python]\n'3.11'='auto'\n[[stack]]\npython=['3.12']\npackages=[]", "for Python 3.12"),
    ],
)
def test_wrong_plans_are_explained(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "plan.toml").write_text(text)
    with pytest.raises(ChannelError, match=message):
        read_plan(tmp_path / "plan.toml")
    with pytest.raises(ChannelError, match="cannot read"):
        read_plan(tmp_path / "absent.toml")
