"""What is the environment's own, moved from the server's prefix to the image's."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from conda_store.artifacts.oci.own_layer import moved_content, write_own_layer, write_plain_layer
from conda_store.errors import ArtifactFailed


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An environment of one package, `lib/packaged.py`, with a part that pip installed."""
    root = tmp_path / "store-of-the-server" / "1234-environment"
    write(root, "conda-meta/history", f"# cmd: create -p {root}\n")
    write(root, "conda-meta/state", '{"env_vars": {}}')
    record(root, "packaged", {"lib/packaged.py": None})
    write(root, "lib/packaged.py", "x")
    write(root, "lib/__pycache__/packaged.cpython-312.pyc", "compiled on the server")
    write(root, "lib/by_pip.py", "y")
    write(root, "lib/__pycache__/by_pip.cpython-312.pyc", "compiled by pip")
    write(root, "bin/by-pip", f"#!{root}/bin/python\n", mode=0o755)
    (root / "lib/link").symlink_to(root / "lib/by_pip.py")
    return root


def write(root: Path, path: str, text: str, *, mode: int = 0o644) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    (root / path).chmod(mode)


def record(root: Path, name: str, files: dict[str, str | None]) -> None:
    """A package's record; a file whose place another package took has another path than its own."""
    paths = [{"_path": path, **({"original_path": original} if original else {})} for path, original in files.items()]
    document = {
        "name": name,
        "files": list(files),
        "extracted_package_dir": "/cache/of/the/server",
        "paths_data": {"paths": paths},
        "link": {"source": "/cache/of/the/server", "type": 1},
    }
    write(root, f"conda-meta/{name}-1-0.json", json.dumps(document, indent=2))


class Layer:
    def __init__(self, own: Path | dict[str, bytes], *, has_scripts: bool = False) -> None:
        target = io.BytesIO()
        if isinstance(own, Path):
            write_own_layer(own, target, has_scripts=has_scripts)
        else:
            write_plain_layer(own, target, has_scripts=has_scripts)
        self.content = gzip.decompress(target.getvalue())
        self.tar = tarfile.open(fileobj=io.BytesIO(self.content))  # noqa: SIM115 - in memory
        self.files = {
            member.name.removeprefix("opt/conda/"): member for member in self.tar.getmembers() if not member.isdir()
        }

    def read(self, path: str) -> bytes:
        file = self.tar.extractfile(self.files[path])
        assert file is not None
        return file.read()


def test_what_packages_did_not_bring(prefix: Path) -> None:
    layer = Layer(prefix)
    assert set(layer.files) == {
        "bin/by-pip",
        "conda-meta/history",
        "conda-meta/state",
        "lib/__pycache__/by_pip.cpython-312.pyc",
        "lib/by_pip.py",
        "lib/link",
    }
    assert layer.read("bin/by-pip") == b"#!/opt/conda/bin/python\n"
    assert layer.files["bin/by-pip"].mode == 0o755
    assert layer.files["lib/link"].linkname == "/opt/conda/lib/by_pip.py"
    assert b"of-the-server" not in layer.content


def test_of_conda_packages_alone_there_is_what_is_known_of_the_lock(tmp_path: Path) -> None:
    files = {"conda-meta/history": b"# cmd\n", "conda-meta/state": b"{}"}
    for path, data in files.items():
        write(tmp_path, path, data.decode())
    plain, read = Layer(files), Layer(tmp_path)
    assert plain.content == read.content
    assert set(plain.files) == set(files)


def test_where_packages_collide_the_environment_decides(prefix: Path) -> None:
    record(prefix, "winner", {"share/same": None})
    record(prefix, "loser", {"__clobbers__/loser/share/same": "share/same", "share/other": None})
    write(prefix, "share/same", "of the winner")
    write(prefix, "share/other", "other")
    write(prefix, "__clobbers__/loser/share/same", "of the loser")
    layer = Layer(prefix)
    assert layer.read("share/same") == b"of the winner"
    assert layer.read("__clobbers__/loser/share/same") == b"of the loser"
    assert "conda-meta/loser-1-0.json" in layer.files
    assert "conda-meta/winner-1-0.json" not in layer.files
    assert "share/other" not in layer.files
    assert b"of/the/server" not in layer.content


def test_what_took_the_place_of_a_packages_file(prefix: Path) -> None:
    """By a post-link script after the packages were linked, or by pip, whose files may be older than these."""
    brought = {
        "lib/kept.py": "kept",
        "lib/touched.py": "touched",
        "etc/edited.conf": "edited",
        "bin/relinked": "relinked",
        "share/gone": "gone",
        "gone": "gone",
        "lib/site-packages/taken.py": "one",
        "lib/site-packages/same.py": "one",
        "bin/taken": "one",
    }
    paths = [
        {"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(text.encode()).hexdigest()}
        for path, text in brought.items()
    ]
    paths.append({"_path": "lib/moved.so", "path_type": "softlink", "sha256": "0" * 64})
    paths.append({"_path": "share/empty", "path_type": "directory"})
    paths.append({"_path": "lib64/kept.py", "path_type": "hardlink", "sha256": "0" * 64})
    (prefix / "share/empty").mkdir(parents=True)
    (prefix / "lib64").symlink_to("lib")
    write(prefix, "conda-meta/replaced-1-0.json", json.dumps({"files": list(brought), "paths_data": {"paths": paths}}))
    (prefix / "lib/moved.so").symlink_to("kept.py")
    for path, text in brought.items():
        write(prefix, path, text)
        os.utime(prefix / path, (1_500_000_000, 1_500_000_000))
    for path in ("gone", "share/gone", "bin/relinked"):
        (prefix / path).unlink()
    (prefix / "bin/relinked").symlink_to("taken")
    write(prefix, "etc/edited.conf", "EDITED")
    write(prefix, "lib/touched.py", "touched")
    record_of_pip = "lib/site-packages/taken-1.dist-info/RECORD"
    write(prefix, record_of_pip, "taken.py,,\nsame.py,,\n../../bin/taken,sha256=x,3\n\n")
    for path in ("lib/site-packages/taken.py", "bin/taken"):
        write(prefix, path, "two")
        os.utime(prefix / path, (1_500_000_000, 1_500_000_000))
    layer = Layer(prefix)
    there = set(layer.files)
    assert layer.read("etc/edited.conf") == b"EDITED"
    assert layer.files["bin/relinked"].linkname == "taken"
    assert layer.read("lib/site-packages/taken.py") == layer.read("bin/taken") == b"two"
    assert {path for path in there if path.rpartition("/")[2].startswith(".wh.")} == {".wh.gone", "share/.wh.gone"}
    assert layer.files[".wh.gone"].size == 0
    assert not there & {"lib/kept.py", "lib/touched.py", "lib/site-packages/same.py", "lib/moved.so"}


def test_activation_scripts_are_run_by_an_entry_point(prefix: Path) -> None:
    layer = Layer(prefix, has_scripts=True)
    assert layer.files["etc/conda-store/activated"].mode == 0o755
    assert layer.read("etc/conda-store/activated").endswith(b'exec "$@"\n')


def test_no_environment(tmp_path: Path) -> None:
    with pytest.raises(ArtifactFailed, match="no conda-meta"):
        Layer(tmp_path)


def test_binaries_keep_their_length() -> None:
    prefix = b"/srv/store/1234-environment"
    data = b"\0a" + prefix + b"/lib:" + prefix + b"/x\0tail\0"
    moved = moved_content("lib/x.so", data, prefix)
    assert moved is not None
    assert len(moved) == len(data)
    assert [part for part in moved.split(b"\0") if part] == [b"a/opt/conda/lib:/opt/conda/x", b"tail"]
    assert moved_content("lib/x.so", b"\0/p/lib\0", b"/p") == b"\0/p/lib\0"
    assert moved_content("x.pyc", b"not marshalled " + prefix, prefix) is None
