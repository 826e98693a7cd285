from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conda_store.db import environments
from conda_store.services.context import Context
from conda_store.worker.watcher import submit_all, watch
from tests.told import logged
from tests.waiting import PATIENCE, wait_for


class Stale(type(Path())):  # type: ignore[misc]
    """A directory that cannot be read for the moment, as on a network file system."""

    def iterdir(self) -> Iterator[Path]:
        raise OSError("Stale file handle")


def names(context: Context) -> set[str]:
    with context.database.read() as connection:
        found = (environments.find(connection, "filesystem", name) for name in ("first", "second", "later"))
        return {environment.name for environment in found if environment is not None}


def specification(directory: Path, name: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.yaml").write_text(f"name: {name}\ndependencies: [python]\n")


def test_what_cannot_be_read_keeps_nothing_else_from_being_handed_in(context: Context, tmp_path: Path) -> None:
    specification(tmp_path / "one", "first")
    (tmp_path / "one" / "broken.yaml").write_text("name: [")
    (tmp_path / "one" / "dangling.yaml").symlink_to("nowhere")
    specification(tmp_path / "two", "second")
    submit_all(context, [Stale(tmp_path / "one"), tmp_path / "absent", tmp_path / "one", tmp_path / "two"])
    assert names(context) == {"first", "second"}


@pytest.fixture
def told() -> Iterator[list[Any]]:
    with logged() as entries:
        yield entries


def test_of_a_file_without_end_only_the_beginning_is_read(context: Context, tmp_path: Path, told: list[Any]) -> None:
    specification(tmp_path / "one", "first")
    with (tmp_path / "one" / "endless.yaml").open("wb") as file:
        file.truncate(1 << 42)
    submit_all(context, [tmp_path / "one"])
    assert names(context) == {"first"}
    (warning,) = [entry for entry in told if "endless.yaml" in str(entry)]
    assert "more than the 10,485,760" in warning["error"]


@contextmanager
def following(context: Context, directory: Path) -> Iterator[None]:
    """Within, the directory is followed, or about to be."""
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(context, [str(directory)], stop, False))
    watcher.start()
    try:
        wait_for("the first file", lambda: "first" in names(context))
        yield
    finally:
        stop.set()
        watcher.join(PATIENCE)
    assert not watcher.is_alive()


def test_a_name_that_is_no_text_does_not_keep_others_from_being_followed(context: Context, tmp_path: Path) -> None:
    specification(tmp_path / "one", "first")
    with following(context, tmp_path / "one"):
        for number in range(3):  # following may only be about to begin
            (tmp_path / "one" / f"{number}\udcff.yaml").write_text("name: [")
            time.sleep(1)
        specification(tmp_path / "one", "later")
        wait_for("the later file", lambda: "later" in names(context))


def test_files_are_followed_until_told_to_stop(context: Context, tmp_path: Path) -> None:
    specification(tmp_path / "one", "first")
    with following(context, tmp_path / "one"):
        specification(tmp_path / "one", "later")  # also where following is only about to begin
        wait_for("the later file", lambda: "later" in names(context))
        assert names(context) == {"first", "later"}
