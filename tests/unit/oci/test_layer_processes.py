"""Layers made by processes are those that are made here; whatever ends one is told, and none is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Sequence
from itertools import count
from pathlib import Path

import pytest

from conda_store.artifacts.oci.layer_processes import LayerProcesses
from conda_store.artifacts.oci.layer_work import LayerWork
from conda_store.artifacts.oci.package_layer import PackageLayer
from conda_store.domain.image import ImagePython, LayerPlan
from conda_store.domain.lock import CondaPackage
from conda_store.errors import ArtifactFailed
from tests.unit.oci.conftest import Cache

PYTHON = ImagePython("3.12", "lib/python3.12/site-packages")
LARGE = 32 << 20  # worth a process, as the channel says
_numbers = count()


def work(cache: Cache, *packages: CondaPackage) -> LayerWork:
    return LayerWork(LayerPlan(packages), cache.directories, PYTHON, cache.root / f"layer-{next(_numbers)}")


def written(works: Sequence[LayerWork]) -> dict[str, bytes]:
    """The layers' bytes by their first package; their digests are right."""
    return {work.plan.packages[0].name: work.file.read_bytes() for work, _ in written_layers(works)}


def written_layers(works: Sequence[LayerWork]) -> Generator[tuple[LayerWork, PackageLayer], None, None]:
    return LayerProcesses([work.plan for work in works]).written(works)


def children() -> list[int]:
    tasks = Path("/proc/self/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def test_processes_make_the_same(cache: Cache) -> None:
    points = {"type": "python", "entry_points": ["tool = tool.cli:main"]}
    packages = [
        cache.add("tool", {"site-packages/tool/cli.py": b"def main(): ...\n"}, noarch=points, size=LARGE),
        cache.add("data", {"share/data": os.urandom(1 << 20)}, size=2 * LARGE),
        cache.add("first", {"etc/conda/activate.d/first.sh": b""}),
        cache.add("second", {"lib/second": b"2"}),
    ]
    layers = [packages[:1], packages[1:2], packages[2:]]
    found = list(written_layers([work(cache, *some) for some in layers]))
    assert [made.plan.packages[0].name for made, _ in found] == ["data", "tool", "first"]
    for made, layer in found:
        content = made.file.read_bytes()
        assert layer == made.write()
        assert content == made.file.read_bytes()
    assert children() == []


def test_small_ones_are_made_here(cache: Cache) -> None:
    works = [work(cache, cache.add(name, {f"lib/{name}": b"x"})) for name in ("one", "two")]
    for _ in written_layers(works):
        assert children() == []


@pytest.mark.parametrize("size", [1000, LARGE])
def test_a_damaged_package_is_named(cache: Cache, size: int) -> None:
    package = cache.add("torn", {"lib/torn": b"x"}, size=size)
    (cache.directories["torn"] / "lib" / "torn").unlink()
    with pytest.raises(ArtifactFailed, match=r"'lib/torn' of torn-1.0-0.conda cannot be read"):
        written([work(cache, package)])
    assert children() == []


def test_what_cannot_be_written_is_told(cache: Cache) -> None:
    package = cache.add("tool", {"lib/tool": b"x"}, size=LARGE)
    with pytest.raises(FileNotFoundError):
        written([work(cache, package)._replace(file=cache.root / "missing" / "layer")])


def endless(cache: Cache, name: str) -> CondaPackage:
    """A package that takes many seconds to write, and nothing on the disk."""
    package = cache.add(name, {"share/zeros": b""}, size=LARGE)
    os.truncate(cache.directories[name] / "share" / "zeros", 16 << 30)
    return package


def test_a_process_that_is_killed(cache: Cache) -> None:
    works = [work(cache, cache.add("first", {"lib/first": b"1"}, size=2 * LARGE)), work(cache, endless(cache, "zeros"))]
    layers = written_layers(works)
    assert next(layers)[0].plan.packages[0].name == "first"
    for child in children():
        os.kill(child, signal.SIGKILL)
    with pytest.raises(ArtifactFailed, match="wrote the layer of zeros was ended") as failed:
        next(layers)
    assert "Ask for the image again" in failed.value.hint
    assert children() == []


def test_who_stops_waits_for_nothing(cache: Cache) -> None:
    works = [work(cache, cache.add("first", {"lib/first": b"1"}, size=2 * LARGE))]
    works += [work(cache, endless(cache, name)) for name in ("a", "b", "c")]
    layers = written_layers(works)
    assert next(layers)[0] is works[0]
    layers.close()
    assert children() == []
    assert not works[-1].file.exists()


def test_processes_end_with_who_needed_them(cache: Cache) -> None:
    plans = [LayerPlan((cache.add(name, {"lib/x": b"x"}, size=LARGE),)) for name in ("one", "two")]
    with pytest.raises(KeyError), LayerProcesses(plans):
        assert children() != []
        raise KeyError("something else")
    assert children() == []
