"""Installers, run by the shells that machines have, in an emptied environment."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from conda_store.artifacts.archive import write_archive
from conda_store.artifacts.installer import HEADER_SIZE, installer_chunks, installer_header
from conda_store.domain.platform import Platform, current_platform
from conda_store.errors import ArtifactFailed
from tests.unit.artifacts.conftest import MadePrefix

SHELLS = [shell for shell in ("dash", "bash") if any(Path(place, shell).exists() for place in ("/bin", "/usr/bin"))]


@pytest.fixture
def installer(made_prefix: MadePrefix, tmp_path: Path) -> Path:
    path = tmp_path / "a.tar.gz"
    archive = write_archive(made_prefix.path, made_prefix.lock, path)
    file = tmp_path / "made installer.sh"
    chunks = installer_chunks(
        [path.read_bytes()],
        name="it's-$mine",
        platform=current_platform(),
        archive_size=archive.size,
        archive_sha256=archive.sha256,
    )
    file.write_bytes(b"".join(chunks))
    return file


def run(
    installer: Path, *arguments: str | Path, shell: str = "dash", answer: str = "", home: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shell, installer, *arguments],
        input=answer,
        env={"HOME": str(home)} if home else {},
        cwd=installer.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_it_installs_what_works(installer: Path, made_prefix: MadePrefix, tmp_path: Path, shell: str) -> None:
    target = tmp_path / "new place" / "environment"
    result = run(installer, "-b", "-p", target, shell=shell)
    assert result.returncode == 0, result.stderr
    assert str(target / "bin/activate") in result.stdout
    assert (target / "etc/text.conf").read_bytes() == made_prefix.expected(target)["etc/text.conf"]
    assert (target / "lib/library.so").read_bytes() == made_prefix.expected(target)["lib/library.so"]
    assert [entry.name for entry in target.parent.iterdir()] == ["environment"]


def test_without_a_prefix_it_goes_below_the_home_after_asking(installer: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    result = run(installer, answer="\n", home=home)
    assert result.returncode == 0, result.stderr
    assert (home / "it's-$mine/bin/activate").is_file()
    result = run(installer, answer="~/other\n", home=home)
    assert result.returncode == 0, result.stderr
    assert (home / "other/bin/activate").is_file()


def test_relative_prefixes_and_nobody_to_answer(installer: Path, tmp_path: Path) -> None:
    assert run(installer, "-b", "-p", "relative/place").returncode == 0
    text = (tmp_path / "relative/place/etc/text.conf").read_text()
    assert text.startswith(f"home = {tmp_path}/relative/place/etc")
    result = run(installer, "-p", "elsewhere")
    assert result.returncode == 1
    assert "nobody to answer: use -b" in result.stderr
    assert not (tmp_path / "elsewhere").exists()


def test_a_prefix_that_is_not_empty_is_refused_unless_forced(installer: Path, tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    assert run(installer, "-b", "-p", target).returncode == 0
    (target / "mine.txt").write_text("mine")
    (target / "etc/text.conf").write_text("damaged")
    refused = run(installer, "-b", "-p", target)
    assert refused.returncode == 1
    assert "is not empty" in refused.stderr
    assert (target / "etc/text.conf").read_text() == "damaged"
    assert run(installer, "-b", "-f", "-p", target).returncode == 0
    assert (target / "etc/text.conf").read_text().startswith(f"home = {target}")
    assert (target / "mine.txt").read_text() == "mine"
    (tmp_path / "file").write_text("")
    assert "is a file" in run(installer, "-b", "-p", tmp_path / "file").stderr


@pytest.mark.parametrize("damage", ["cut", "changed", "longer"])
def test_a_damaged_download_installs_nothing(installer: Path, tmp_path: Path, damage: str) -> None:
    content = bytearray(installer.read_bytes())
    if damage == "cut":
        del content[-1000:]
    elif damage == "changed":
        content[HEADER_SIZE + 5000] ^= 1
    else:
        content += b"<html>"
    installer.write_bytes(content)
    result = run(installer, "-b", "-p", tmp_path / "target")
    assert result.returncode == 1
    assert "download it again" in result.stderr
    assert not (tmp_path / "target").exists()
    assert not list(tmp_path.glob(".installing-*"))


def test_a_prefix_too_long_for_a_binary_leaves_nothing(installer: Path, tmp_path: Path) -> None:
    target = tmp_path / ("long" * 50) / ("long" * 50)
    result = run(installer, "-b", "-p", target)
    assert result.returncode == 1
    assert "too long for the binary file" in result.stderr
    assert list(target.parent.iterdir()) == []


def test_another_machine_is_told(installer: Path, tmp_path: Path) -> None:
    content = installer.read_bytes().replace(f"'{current_platform()}'".encode(), b"'osx-arm64'", 1)
    installer.write_bytes(content.replace(b"#\n", b"\n", len(b"osx-arm64") - len(current_platform().value)))
    result = run(installer, "-b", "-p", tmp_path / "target")
    assert result.returncode == 1
    assert "this environment is for osx-arm64, and this machine runs Linux" in result.stderr


@pytest.mark.parametrize(("arguments", "code"), [(("-h",), 0), (("-x",), 2), (("stray",), 2)])
def test_usage(installer: Path, arguments: tuple[str, ...], code: int) -> None:
    result = run(installer, *arguments)
    assert result.returncode == code
    assert "usage: sh" in result.stdout + result.stderr


def test_it_needs_nothing_but_a_shell_tar_and_gzip(installer: Path, tmp_path: Path) -> None:
    """No Python on the target: the prefix is put in by sed."""
    tools = tmp_path / "tools"
    tools.mkdir()
    names = "basename cat cp cut dirname gzip ls mkdir mv od rm rmdir sed sh tail tar touch tr uname wc"
    for tool in names.split():
        (tools / tool).symlink_to(next(path for place in ("/usr/bin", "/bin") if (path := Path(place, tool)).exists()))
    result = subprocess.run(
        ["/bin/sh", installer, "-b", "-p", tmp_path / "target"],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert str(tmp_path / "target") in (tmp_path / "target/etc/text.conf").read_text()


def test_the_header_has_one_size_whatever_the_name() -> None:
    for name in ("a", "x" * 255, "$&?^~.=+@_-"):
        header = installer_header(name=name, platform=Platform.LINUX_64, archive_size=10**12, archive_sha256="0" * 64)
        assert len(header) == HEADER_SIZE
        assert header.endswith(b"#\n")


def test_what_has_no_installer() -> None:
    sha256 = hashlib.sha256(b"archive").hexdigest()
    with pytest.raises(ArtifactFailed, match="win-64"):
        list(installer_chunks([b"archive"], name="n", platform=Platform.WIN_64, archive_size=7, archive_sha256=sha256))
    with pytest.raises(ArtifactFailed, match="7 bytes instead of 8"):
        list(
            installer_chunks([b"archive"], name="n", platform=Platform.LINUX_64, archive_size=8, archive_sha256=sha256)
        )
