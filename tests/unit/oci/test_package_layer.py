"""Layers out of packages: what is in them, and that it is always the same."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from conda_store.artifacts.oci.package_layer import write_package_layer
from conda_store.domain.image import Activation, ImagePython, LayerPlan, path_marks
from conda_store.domain.lock import CondaPackage
from conda_store.errors import ArtifactFailed
from tests.unit.oci.conftest import MTIME, PLACEHOLDER, Cache

PYTHON = ImagePython("3.12", "lib/python3.12/site-packages")


class Made:
    def __init__(self, cache: Cache, *packages: CondaPackage, python: ImagePython | None = PYTHON) -> None:
        target = io.BytesIO()
        self.layer = write_package_layer(LayerPlan(packages), cache.directories, python, target)
        self.written, self.activation = self.layer.written, self.layer.activation
        self.blob = target.getvalue()
        self.content = gzip.decompress(self.blob)
        self.tar = tarfile.open(fileobj=io.BytesIO(self.content))  # noqa: SIM115 - in memory
        self.members = {member.name: member for member in self.tar.getmembers()}

    def read(self, path: str) -> bytes:
        file = self.tar.extractfile(self.members[f"opt/conda/{path}"])
        assert file is not None
        return file.read()


def test_digests_and_sizes_are_those_of_blob_and_tar(cache: Cache) -> None:
    made = Made(cache, cache.add("big", {"lib/big": os.urandom(1 << 20)}))
    assert made.written.digest == hashlib.sha256(made.blob).hexdigest()
    assert made.written.diff_id == hashlib.sha256(made.content).hexdigest()
    assert (made.written.size, made.written.content_size) == (len(made.blob), len(made.content))
    assert len(made.read("lib/big")) == 1 << 20


def test_where_and_when_the_package_lies_does_not_count(cache: Cache, tmp_path: Path) -> None:
    files = {"bin/tool": b"#!" + PLACEHOLDER.encode() + b"/bin/sh\n", "lib/a": b"a", "lib/b": b"b"}
    first = Made(cache, cache.add("tool", files))
    other = Cache(tmp_path / "elsewhere" / "and-deeper")
    package = other.add("tool", dict(reversed(files.items())), modes={"lib/a": 0o600, "lib/b": 0o666})
    os.utime(other.directories["tool"] / "lib", (1, 1))
    paths = other.directories["tool"] / "info" / "paths.json"
    paths.write_bytes((cache.directories["tool"] / "info" / "paths.json").read_bytes())
    assert Made(other, package).written == first.written


def test_members_are_neutral(cache: Cache) -> None:
    package = cache.add(
        "tool",
        {"bin/tool": b"x", "share/plain": b"y"},
        modes={"bin/tool": 0o4775, "share/plain": 0o600},
        links={"lib/link": "../bin/tool"},
    )
    made = Made(cache, package)
    assert all((member.uid, member.gid, member.uname) == (0, 0, "") for member in made.members.values())
    assert (made.members["opt/conda/bin/tool"].mode, made.members["opt/conda/share/plain"].mode) == (0o755, 0o644)
    assert made.members["opt/conda/bin/tool"].mtime == MTIME
    assert made.members["opt/conda/lib/link"].linkname == "../bin/tool"
    folders = [member for member in made.members.values() if member.isdir()]
    assert [folder.name for folder in folders][:3] == ["opt", "opt/conda", "opt/conda/bin"]
    assert {(folder.mode, folder.mtime) for folder in folders} == {(0o755, 0)}


def test_the_prefix_takes_the_place_of_placeholders(cache: Cache) -> None:
    placeholder = PLACEHOLDER.encode()
    binary = b"\0a" + placeholder + b"/x:" + placeholder + b"/y\0tail\0" + placeholder + b"\0" + placeholder
    made = Made(cache, cache.add("tool", {"bin/t": b"#!" + placeholder + b"/bin/python\n", "lib/b": binary}))
    assert made.read("bin/t") == b"#!/opt/conda/bin/python\n"
    rewritten = made.read("lib/b")
    assert len(rewritten) == len(binary)
    assert [part for part in rewritten.split(b"\0") if part] == [
        b"a/opt/conda/x:/opt/conda/y",
        b"tail",
        b"/opt/conda",
        b"/opt/conda",
    ]
    # compiled Python names the time of its source: of a source that has changed it must not hold
    assert made.members["opt/conda/bin/t"].mtime == MTIME + 1
    record = json.loads(made.read("conda-meta/tool-1.0-0.json"))
    digests = {item["_path"]: item.get("sha256_in_prefix") for item in record["paths_data"]["paths"]}
    assert digests["lib/b"] == hashlib.sha256(rewritten).hexdigest()


def test_noarch_python_goes_to_the_python_of_the_image(cache: Cache) -> None:
    package = cache.add(
        "pure",
        {"site-packages/pure/__init__.py": b"", "python-scripts/pure-script": b"x", "share/pure": b""},
        noarch={"type": "python", "entry_points": ["pure = pure.cli:app.main", "other=pure:main"]},
    )
    made = Made(cache, package)
    record = json.loads(made.read("conda-meta/pure-1.0-0.json"))
    assert record["files"] == [
        "bin/other",
        "bin/pure",
        "bin/pure-script",
        "lib/python3.12/site-packages/pure/__init__.py",
        "share/pure",
    ]
    script = made.read("bin/pure").decode()
    assert script.startswith("#!/opt/conda/bin/python3.12\n")
    assert "from pure.cli import app\n" in script
    assert "sys.exit(app.main())" in script
    assert made.members["opt/conda/bin/pure"].mode == 0o755
    assert made.layer.path_marks == path_marks(["bin/pure", "bin/other", *record["files"][2:]])
    with pytest.raises(ArtifactFailed, match="needs a Python"):
        Made(cache, package, python=None)


def test_records_tell_nothing_of_the_machine(cache: Cache) -> None:
    made = Made(cache, cache.add("tool", {"bin/tool": b"x"}))
    assert str(cache.root).encode() not in made.content
    assert json.loads(made.read("conda-meta/tool-1.0-0.json"))["link"] == {"source": "", "type": 1}


def test_packages_of_a_group_follow_each_other_and_nothing_comes_twice(cache: Cache) -> None:
    packages = [cache.add(name, {"share/same": name.encode(), f"share/{name}": b""}) for name in ("a", "b")]
    made = Made(cache, *packages)
    names = [member.name for member in made.tar.getmembers()]
    assert len(names) == len(set(names))
    assert made.read("share/same") == b"a"
    assert made.layer.path_marks == path_marks(["share/a", "share/same", "share/b", "share/same"])
    assert {"opt/conda/share/a", "opt/conda/share/b"} <= set(names)


def test_activation_is_known_without_the_package(cache: Cache) -> None:
    package = cache.add(
        "active",
        {
            "etc/conda/activate.d/active.sh": b"export ACTIVE=1\n",
            "etc/conda/env_vars.d/active.json": b'{"HOME_OF_IT": "' + PLACEHOLDER.encode() + b'/x"}',
        },
    )
    assert Made(cache, package).activation == Activation(True, {"HOME_OF_IT": "/opt/conda/x"})
    assert Made(cache, cache.add("other", {"share/x": b""})).activation == Activation()


def test_a_package_from_before_paths_json(cache: Cache) -> None:
    package = cache.add("old", {"bin/old": PLACEHOLDER.encode(), "bin/older": b"/opt/anaconda1anaconda2anaconda3/x"})
    info = cache.directories["old"] / "info"
    (info / "paths.json").unlink()
    (info / "files").write_text("bin/old\nbin/older\n")
    (info / "has_prefix").write_text(f'"{PLACEHOLDER}" text bin/old\nbin/older\n')
    made = Made(cache, package)
    assert (made.read("bin/old"), made.read("bin/older")) == (b"/opt/conda", b"/opt/conda/x")


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "lib/../../outside"])
def test_a_package_stays_within_the_prefix(cache: Cache, path: str) -> None:
    package = cache.add("evil", {})
    entries = {"paths": [{"_path": path, "path_type": "hardlink"}]}
    (cache.directories["evil"] / "info" / "paths.json").write_text(json.dumps(entries))
    with pytest.raises(ArtifactFailed, match="outside the prefix"):
        Made(cache, package)


def test_a_link_that_is_not_told_to_be_one_brings_no_file_of_this_machine(cache: Cache, tmp_path: Path) -> None:
    package = cache.add("evil", {"lib/evil": b"x"})
    (tmp_path / "secret").write_bytes(b"s")
    (cache.directories["evil"] / "lib/evil").unlink()
    (cache.directories["evil"] / "lib/evil").symlink_to(tmp_path / "secret")
    with pytest.raises(ArtifactFailed, match="cannot be read"):
        Made(cache, package)


def test_a_package_whose_files_are_missing_is_damaged(cache: Cache) -> None:
    package = cache.add("lost", {"lib/lost": b"x"})
    (cache.directories["lost"] / "lib/lost").unlink()
    with pytest.raises(ArtifactFailed, match=r"lost-1\.0-0\.conda"):
        Made(cache, package)
