"""Images of environments in which scripts and pip have changed what packages brought."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.clients import told
from tests.acceptance.service import API, Service, serving
from tests.acceptance.test_registry import copied, files
from tests.conftest import missing
from tests.waiting import wait_for
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


@pytest.fixture(scope="module")
def service(real_channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    for program in ("skopeo", "umoci"):
        if shutil.which(program) is None:
            missing(f"the program {program}")
    directory = tmp_path_factory.mktemp("changes")
    options = {
        "conda_default_channels": [channel_of_changes(directory / "channel").as_uri(), real_channel.as_uri()],
        "default_docker_base_image": "scratch",
        "link_script_packages": ["scripted"],
        "pip_index_url": "",
        "pip_find_links": [str(wheel(directory / "wheels"))],
    }
    with serving(directory / "s", **options) as service:
        yield service


def unpacked(service: Service, name: str, directory: Path, *options: str) -> Path:
    """The environment in an image."""
    token = (service.data / "admin-token").read_text()
    pulled = copied(service, name, directory / "image", f"--src-creds=me:{token}", *options)
    assert pulled.returncode == 0, pulled.stderr
    told("umoci", "unpack", "--image", f"{directory}/image:pulled", directory / "bundle")
    return directory / "bundle/rootfs/opt/conda"


def test_an_image_holds_what_scripts_and_pip_have_made_of_an_environment(service: Service, tmp_path: Path) -> None:
    service.completed(CHANGED)
    ours = files(unpacked(service, "default/changed", tmp_path))
    link = service.link("changed")
    wait_for("the environment is linked", link.exists)
    theirs, own = files(link.resolve()), str(link.resolve()).encode()
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


def test_scripts_are_not_run_for_the_image_of_another_platform(service: Service, tmp_path: Path) -> None:
    assert service.http.post(f"{API}/namespace/portable/").is_success
    values = {"conda_solve_platforms": ["linux-64", "linux-aarch64"]}
    assert service.http.put(f"{API}/setting/portable/", json=values).is_success
    service.completed("name: two\ndependencies: [scripted]\n", namespace="portable")
    found = {}
    for architecture in ("amd64", "arm64"):
        directory = tmp_path / architecture
        directory.mkdir()
        found[architecture] = files(unpacked(service, "portable/two", directory, f"--override-arch={architecture}"))
    assert found["amd64"]["etc/scripted.conf"] == b"EDITED!!\n"
    assert found["arm64"]["etc/scripted.conf"] == b"packaged\n"
    assert set(found["arm64"]) - set(found["amd64"]) == {"share/scripted/gone"}
    assert set(found["amd64"]) - set(found["arm64"]) == {"share/scripted/new"}
