"""Images of environments in which scripts and pip have changed what packages brought."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from tests.acceptance.clients import told
from tests.acceptance.service import serving
from tests.acceptance.test_registry import copied, files
from tests.conftest import missing
from tools.channel.tiny import index, write_package

pytestmark = [pytest.mark.acceptance, pytest.mark.channel, pytest.mark.xdist_group("registry_changes")]

SITE_PACKAGES = "lib/python3.11/site-packages"
CHANGED = """
name: changed
dependencies: [python=3.11, scripted, unscripted, overlaid, {pip: [overlay]}]
"""
SCRIPT = """
sed -i 's/packaged/EDITED!!/' "$PREFIX/etc/scripted.conf"
rm "$PREFIX/share/scripted/gone"
echo "$PREFIX" >"$PREFIX/share/scripted/new"
"""


def channel_of_changes(directory: Path) -> Path:
    """`scripted` changes itself when it is linked, `unscripted` would; `overlaid` shares a module with a wheel."""
    content = dict.fromkeys(("share/scripted/gone", "etc/scripted.conf"), "packaged\n")
    write_package(directory, "scripted", "1.0", files=content, link_scripts={"post-link": SCRIPT})
    harmless = {"post-link": 'touch "$PREFIX/share/unscripted"\n'}
    write_package(directory, "unscripted", "1.0", files={"etc/unscripted": "packaged\n"}, link_scripts=harmless)
    module = {f"{SITE_PACKAGES}/overlaid.py": "BY = 'conda'\n", f"{SITE_PACKAGES}/left.py": "BY = 'conda'\n"}
    write_package(directory, "overlaid", "1.0", files=module)
    index(directory)
    return directory


def wheel(directory: Path) -> Path:
    """A distribution that brings a module of the package `overlaid` as well, of the same size."""
    directory.mkdir()
    metadata = "overlay-1.0.dist-info"
    content = {
        "overlaid.py": "BY = 'wheel'\n",
        f"{metadata}/METADATA": "Metadata-Version: 2.1\nName: overlay\nVersion: 1.0\n",
        f"{metadata}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{name},,\n" for name in (*content, f"{metadata}/RECORD")]
    with zipfile.ZipFile(directory / "overlay-1.0-py3-none-any.whl", "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
        archive.writestr(f"{metadata}/RECORD", "".join(record))
    return directory


def test_an_image_holds_what_scripts_and_pip_have_made_of_an_environment(real_channel: Path, tmp_path: Path) -> None:
    for program in ("skopeo", "umoci"):
        if shutil.which(program) is None:
            missing(f"the program {program}")
    options = {
        "conda_default_channels": [channel_of_changes(tmp_path / "channel").as_uri(), real_channel.as_uri()],
        "default_docker_base_image": "scratch",
        "link_script_packages": ["scripted"],
        "pip_index_url": "",
        "pip_find_links": [str(wheel(tmp_path / "wheels"))],
    }
    with serving(tmp_path / "s", **options) as service:
        service.completed(CHANGED)
        pulled = copied(service, "default/changed", tmp_path / "image")
        assert pulled.returncode == 0, pulled.stderr
        told("umoci", "unpack", "--image", f"{tmp_path}/image:pulled", tmp_path / "bundle")
        prefix, root = service.link("changed").resolve(), tmp_path / "bundle/rootfs/opt/conda"
        theirs, ours = files(prefix), files(root)
        own = str(prefix).encode()
    assert set(ours) == set(theirs)
    differing = {path: content for path, content in theirs.items() if ours[path] != content}
    moved = {path for path, content in differing.items() if isinstance(content, bytes) and own in content}
    assert [path for path in differing.keys() - moved if not path.startswith("conda-meta/")] == []
    assert ours["etc/scripted.conf"] == b"EDITED!!\n"
    assert ours["share/scripted/new"] == b"/opt/conda\n"
    assert "share/scripted/gone" not in ours
    assert "share/unscripted" not in ours
    assert ours[f"{SITE_PACKAGES}/overlaid.py"] == b"BY = 'wheel'\n"
    assert ours[f"{SITE_PACKAGES}/left.py"] == b"BY = 'conda'\n"
