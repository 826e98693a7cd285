import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from conda_store.client.unpacking import unpack
from conda_store.errors import ServerError

Fill = Callable[[tarfile.TarFile], None]


def member(
    name: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644
) -> Fill:
    def fill(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode, info.mtime = kind, link, mode, 1_500_000_000
        info.size = len(content)
        info.uid = info.gid = 4242
        archive.addfile(info, io.BytesIO(content))

    return fill


def link(name: str, target: str) -> Fill:
    return member(name, kind=tarfile.SYMTYPE, link=target)


def archived(path: Path, *members: Fill) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for fill in members:
            fill(archive)
    return path


def test_an_environment_is_unpacked_as_it_was(tmp_path: Path) -> None:
    archive = archived(
        tmp_path / "a.tar.gz",
        member("./bin", kind=tarfile.DIRTYPE, mode=0o755),
        member("bin/tool", b"#!/bin/sh\n", mode=0o4755),
        member("lib/ünïcode", b"x" * 3_000_000),
        link("lib/short", "ünïcode"),
        member("lib/same", kind=tarfile.LNKTYPE, link="lib/ünïcode"),
        link("etc/localtime", "/usr/share/zoneinfo/UTC"),
        member("empty/", kind=tarfile.DIRTYPE),
    )
    assert unpack(archive, tmp_path / "e") == 7
    tool = tmp_path / "e/bin/tool"
    assert tool.read_bytes() == b"#!/bin/sh\n"
    assert tool.stat().st_mode & 0o7777 == 0o755
    assert tool.stat().st_mtime == 1_500_000_000
    assert tool.stat().st_uid != 4242
    assert (tmp_path / "e/lib/short").read_bytes() == b"x" * 3_000_000
    assert (tmp_path / "e/lib/same").samefile(tmp_path / "e/lib/ünïcode")
    assert str((tmp_path / "e/etc/localtime").readlink()) == "/usr/share/zoneinfo/UTC"
    assert (tmp_path / "e/empty").is_dir()


OUTSIDE = {
    "absolute": [member("/tmp/conda-store-outside", b"x")],
    "parent": [member("../outside", b"x")],
    "parent in the middle": [member("lib/../../outside", b"x")],
    "parent directory": [member("..", kind=tarfile.DIRTYPE)],
    "through a link": [link("lib", ".."), member("lib/outside", b"x")],
    "through a link to a link": [link("a", ".."), link("b", "a"), member("b/outside", b"x")],
    "over a link": [link("file", "../outside"), member("file", b"x")],
    "directory through a link": [link("lib", ".."), member("lib/outside", kind=tarfile.DIRTYPE)],
    "hard link to outside": [member("file", kind=tarfile.LNKTYPE, link="../secret")],
    "hard link to an absolute path": [member("file", kind=tarfile.LNKTYPE, link="/etc/passwd")],
    "hard link through a link": [link("lib", ".."), member("file", kind=tarfile.LNKTYPE, link="lib/secret")],
    "device": [member("null", kind=tarfile.CHRTYPE)],
    "block device": [member("disk", kind=tarfile.BLKTYPE)],
    "pipe": [member("pipe", kind=tarfile.FIFOTYPE)],
    "twice": [member("file", b"1"), member("file", b"2")],
    "file as directory": [member("file", b"1"), member("file/x", b"2")],
}


@pytest.mark.parametrize("members", OUTSIDE.values(), ids=OUTSIDE.keys())
def test_nothing_is_written_outside(tmp_path: Path, members: list[Fill]) -> None:
    (tmp_path / "secret").write_text("secret")
    archive = archived(tmp_path / "a.tar.gz", *members)
    with pytest.raises(ServerError, match="not unpacked"):
        unpack(archive, tmp_path / "e")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "e", "secret"]
    assert not Path("/tmp/conda-store-outside").exists()
    assert (tmp_path / "secret").stat().st_nlink == 1


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_cut_archive_is_damaged(tmp_path: Path, share: float) -> None:
    archive = archived(tmp_path / "a.tar.gz", member("file", bytes(range(256)) * 1000))
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ServerError, match="damaged"):
        unpack(archive, tmp_path / "e")


def test_what_is_no_archive_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_text("<html>")
    with pytest.raises(ServerError, match="damaged"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "e")
