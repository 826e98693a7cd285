"""Renamed away at once, deleted later."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from conda_store.builder.removal import empty_trash, set_aside


def make_tree(root: Path, *, files: int = 20) -> Path:
    for number in range(files):
        path = root / f"directory-{number % 4}" / "deeper" / f"file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("content")
    return root


def test_set_aside_renames_into_the_trash(tmp_path):
    tree = make_tree(tmp_path / "tree")
    moved = set_aside(tree, tmp_path / "trash")
    assert not tree.exists()
    assert moved.parent == tmp_path / "trash"
    assert (moved / "directory-0/deeper/file-0").exists()


def test_set_aside_twice_under_one_name(tmp_path):
    moved = [set_aside(make_tree(tmp_path / "tree"), tmp_path / "trash") for _ in range(2)]
    assert len(set(moved)) == 2


def test_absent_path_is_no_error(tmp_path):
    assert set_aside(tmp_path / "absent", tmp_path / "trash") is None


def test_link_is_moved_not_what_it_leads_to(tmp_path):
    tree = make_tree(tmp_path / "tree")
    (tmp_path / "link").symlink_to(tree)
    set_aside(tmp_path / "link", tmp_path / "trash")
    assert tree.exists()


def test_broken_link_is_moved(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    assert set_aside(tmp_path / "link", tmp_path / "trash") is not None
    assert not (tmp_path / "link").is_symlink()


def test_empty_trash_deletes_in_steps(tmp_path):
    trash = tmp_path / "trash"
    for _ in range(2):
        set_aside(make_tree(tmp_path / "tree"), trash)
    assert asyncio.run(empty_trash(trash, files_per_step=7, pause=0)) == 40
    assert list(trash.iterdir()) == []


def test_empty_trash_can_be_stopped_and_goes_on_later(tmp_path):
    trash = tmp_path / "trash"
    set_aside(make_tree(tmp_path / "tree"), trash)

    async def stop_after_a_step() -> None:
        task = asyncio.create_task(empty_trash(trash, files_per_step=5, pause=30))
        await asyncio.sleep(0)
        while len(list(trash.rglob("file-*"))) > 15:  # noqa: ASYNC110 - it works in another thread
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(stop_after_a_step(), 20))
    assert len(list(trash.rglob("file-*"))) == 15
    asyncio.run(empty_trash(trash, pause=0))
    assert list(trash.iterdir()) == []


def test_links_are_not_followed(tmp_path):
    outside = make_tree(tmp_path / "outside")
    tree = make_tree(tmp_path / "tree")
    (tree / "out").symlink_to(outside)
    set_aside(tree, tmp_path / "trash")
    asyncio.run(empty_trash(tmp_path / "trash", pause=0))
    assert len(list(outside.rglob("file-*"))) == 20


def test_absent_trash_is_empty(tmp_path):
    assert asyncio.run(empty_trash(tmp_path / "trash")) == 0


@contextlib.contextmanager
def ordinary_user(*owned: Path) -> Iterator[None]:
    """Without the superuser's powers, as the owner of these paths."""
    if os.geteuid() != 0:
        yield
        return
    for path in owned:
        os.chown(path, 12345, 12345)
    os.seteuid(12345)
    try:
        yield
    finally:
        os.seteuid(0)


def test_directories_without_write_permission(tmp_path, monkeypatch):
    tree = make_tree(tmp_path / "tree")
    for path in [*tree.rglob("*"), tree]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.chdir(tmp_path)  # the directories above are closed to others
    with ordinary_user(tmp_path, *tree.rglob("*"), tree):
        set_aside(Path("tree"), Path("trash"))
        asyncio.run(empty_trash(Path("trash"), pause=0))
    assert list((tmp_path / "trash").iterdir()) == []
