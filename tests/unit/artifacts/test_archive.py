"""Archives: what they hold, what they do not tell, and that they work where they are unpacked."""

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from conda_store.artifacts.archive import write_archive
from conda_store.domain.lock import CondaPackage, PlatformLock
from conda_store.domain.platform import Platform
from conda_store.errors import ArtifactFailed
from tests.unit.artifacts.conftest import PLACEHOLDER, MadePrefix
from tests.unpacking import unpack_all

Unpack = Callable[[str], Path]
# directories with the tools that scripts need, but no Python
TOOLS = ("cat", "cp", "cut", "dirname", "basename", "ls", "mkdir", "mv", "od", "rm", "rmdir", "sed", "sh", "tail")
MORE_TOOLS = ("tar", "gzip", "touch", "tr", "uname", "wc", "sha256sum", "env")


@pytest.fixture
def path_without_python(tmp_path: Path) -> str:
    folder = tmp_path / "tools"
    folder.mkdir()
    for tool in (*TOOLS, *MORE_TOOLS):
        found = next(Path(place, tool) for place in ("/usr/bin", "/bin") if Path(place, tool).exists())
        (folder / tool).symlink_to(found)
    return str(folder)


@pytest.fixture
def unpack(made_prefix: MadePrefix, tmp_path: Path) -> Unpack:
    archive = tmp_path / "environment.tar.gz"
    write_archive(made_prefix.path, made_prefix.lock, archive)

    def unpacked(name: str) -> Path:
        target = tmp_path / name
        target.mkdir(parents=True)
        subprocess.run(["tar", "-xzf", str(archive), "-C", str(target)], check=True)
        return target

    return unpacked


def files_of(root: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in root.rglob("*")
        if file.is_file() and not file.is_symlink()
    }


def test_moved_and_fixed_it_is_what_an_installer_would_have_made_there(made_prefix: MadePrefix, unpack: Unpack) -> None:
    target = unpack("elsewhere")
    subprocess.run([target / "bin/conda-unpack"], check=True)
    found = files_of(target)
    for path, content in made_prefix.expected(target).items():
        assert found.pop(path) == content, path
    assert sorted(found) == [
        "bin/activate",
        "bin/activate.fish",
        "bin/conda-unpack",
        "bin/deactivate",
        "conda-meta/made-1.0-0.json",
        "share/conda-store/conda-unpack.files",
        "share/conda-store/conda-unpack.py",
    ]
    assert (target / "share/empty-directory").is_dir()
    output = subprocess.run([target / "bin/tool", "1"], check=True, capture_output=True, text=True).stdout
    assert output.split() == ["interpreted", str(target / "bin/tool"), "1"]


def test_without_any_python_the_same_comes_out(
    made_prefix: MadePrefix, unpack: Unpack, path_without_python: str
) -> None:
    target = unpack("where no/python & snakes| are")
    subprocess.run([target / "bin/conda-unpack"], check=True, env={"PATH": path_without_python})
    found = files_of(target)
    for path, content in made_prefix.expected(target).items():
        if path.startswith("bin/") and content.startswith(b"#!" + str(target).encode()):
            continue
        assert found[path] == content, path
    plain = unpack("plain")
    subprocess.run([plain / "bin/conda-unpack"], check=True, env={"PATH": path_without_python})
    found = files_of(plain)
    for path, content in made_prefix.expected(plain).items():
        assert found[path] == content, path
    assert (plain / "bin/tool").stat().st_mode & 0o777 == 0o755


def test_it_does_not_tell_where_it_was_made(made_prefix: MadePrefix, unpack: Unpack) -> None:
    target = unpack("elsewhere")
    for path, content in files_of(target).items():
        assert b"server-store" not in content, path
        assert b"server-cache" not in content, path
    links = [str(file.readlink()) for file in target.rglob("*") if file.is_symlink()]
    assert not [link for link in links if "server-store" in link]
    assert (target / "lib/absolute").resolve() == target / "share/empty"
    assert (target / "lib/outside").readlink() == Path("/nowhere/at/all")
    assert (target / "lib/far").readlink() == (made_prefix.path / "lib/far").readlink()
    record = json.loads((target / "conda-meta/made-1.0-0.json").read_text())
    assert "extracted_package_dir" not in record
    assert record["link"] == {"source": "", "type": 1}


def test_twice_does_no_harm_and_names_are_told(unpack: Unpack) -> None:
    target = unpack("elsewhere")
    command = [target / "bin/conda-unpack", "--verbose"]
    first = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    before = files_of(target)
    second = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert {"lib/library.so", "etc/text.conf", "share/with space.txt"} <= set(first.splitlines())
    assert second == ""
    assert files_of(target) == before


@pytest.mark.parametrize("has_python", [True, False])
def test_a_path_too_long_for_a_binary_changes_nothing(
    unpack: Unpack, path_without_python: str, has_python: bool
) -> None:
    target = unpack("/".join(["long-directory-name" * 5] * 4))
    before = files_of(target)
    environment = None if has_python else {"PATH": path_without_python}
    result = subprocess.run([target / "bin/conda-unpack"], capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 1
    assert "too long for the binary file lib/" in result.stderr
    assert "Traceback" not in result.stderr
    assert files_of(target) == before


def test_long_and_spaced_paths_still_start_python_scripts(bare_prefix: MadePrefix, tmp_path: Path) -> None:
    bare_prefix.add_own(
        "bin/hello", b"#!{prefix}/bin/python3 -s\nimport sys\nprint('hello', sys.flags.no_user_site)\n", mode=0o755
    )
    bare_prefix.write_record()
    (bare_prefix.path / "bin/python3").symlink_to(sys.executable)
    write_archive(bare_prefix.path, bare_prefix.lock, tmp_path / "a.tar.gz")
    for name in ("with space", "long-" * 30):
        target = tmp_path / name
        target.mkdir()
        subprocess.run(["tar", "-xzf", str(tmp_path / "a.tar.gz"), "-C", str(target)], check=True)
        subprocess.run([target / "bin/conda-unpack"], check=True)
        output = subprocess.run([target / "bin/hello"], check=True, capture_output=True, text=True).stdout
        assert output == "hello 1\n"


def test_before_it_is_fixed_scripts_run_in_the_activated_environment(unpack: Unpack) -> None:
    target = unpack("elsewhere")
    command = f". '{target}/bin/activate' && tool-with-option 2"
    output = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True).stdout
    assert output.split() == ["interpreted", "-E", "-s", str(target / "bin/tool-with-option"), "2"]


def test_members_belong_to_root_and_keep_mode_and_time(made_prefix: MadePrefix, tmp_path: Path) -> None:
    write_archive(made_prefix.path, made_prefix.lock, tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        members = {member.name: member for member in tar.getmembers()}
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members.values()} == {(0, 0, "", "")}
    assert {member.type for member in members.values()} == {tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE}
    assert members["lib/untouched.bin"].mode == 0o644
    assert members["lib/untouched.bin"].mtime == 1_500_000_000
    assert members["bin/tool"].mode == 0o755
    assert members["bin/privileged"].mode == 0o4755
    assert members["conda-meta/made-1.0-0.json"].mode == 0o644
    names = [name for name in members if not name.startswith(("bin/", "share/conda-store/"))]
    assert names == sorted(names, key=lambda name: name.split("/"))


def test_equal_environments_give_equal_bytes(made_prefix: MadePrefix) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    told = write_archive(made_prefix.path, made_prefix.lock, first)
    assert write_archive(made_prefix.path, made_prefix.lock, second) == told
    assert first.getvalue() == second.getvalue()
    assert told.size == len(first.getvalue())


def test_compiled_python_is_carried_without_the_path(bare_prefix: MadePrefix, tmp_path: Path) -> None:
    bare_prefix.add_own("lib/module.py", b"def where():\n    return [number for number in (1, 2)]\n")
    bare_prefix.add_own("lib/configured.py", b"HOME = '{prefix}/etc'\n")
    kept = bare_prefix.add_compiled("lib/module.py")
    stale = bare_prefix.add_compiled("lib/configured.py")
    bare_prefix.write_record()
    write_archive(bare_prefix.path, bare_prefix.lock, tmp_path / "a.tar.gz")
    target = tmp_path / "elsewhere"
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        unpack_all(tar, target)
    assert (target / kept).is_file()
    assert not (target / stale).exists()
    subprocess.run([target / "bin/conda-unpack"], check=True)
    code = "import module, configured; print(module.where(), module.where.__code__.co_filename, configured.HOME)"
    result = subprocess.run(
        [sys.executable, "-v", "-c", code],
        env={"PYTHONPATH": str(target / "lib")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert result.stdout == f"[1, 2] {target}/lib/module.py {target}/etc\n"
    assert f"code object from '{target / kept}'" in result.stderr


def test_an_environment_keeps_its_own_activate(bare_prefix: MadePrefix, tmp_path: Path) -> None:
    bare_prefix.add_own("bin/activate", b"# mine\n")
    bare_prefix.write_record()
    write_archive(bare_prefix.path, bare_prefix.lock, tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert tar.getnames().count("bin/activate") == 1
        extracted = tar.extractfile("bin/activate")
        assert extracted is not None and extracted.read() == b"# mine\n"


def test_progress_is_told_and_can_end_it(made_prefix: MadePrefix, tmp_path: Path) -> None:
    threads = threading.active_count()

    class Cancelled(Exception):
        pass

    seen: list[tuple[int, int]] = []
    write_archive(
        made_prefix.path,
        made_prefix.lock,
        tmp_path / "a.tar.gz",
        on_progress=lambda files, size: seen.append((files, size)),
    )
    assert seen[0][1] == 1 << 20
    assert seen[0][0] > 0

    def cancel(files: int, size: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        write_archive(made_prefix.path, made_prefix.lock, tmp_path / "b.tar.gz", on_progress=cancel)
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == ["a.tar.gz"]
    assert threading.active_count() == threads


def test_a_destination_that_fails_says_so(made_prefix: MadePrefix) -> None:
    threads = threading.active_count()

    class Broken(io.RawIOBase):
        def write(self, data: object) -> int:
            raise BrokenPipeError("nobody reads")

    with pytest.raises(BrokenPipeError, match="nobody reads"):
        write_archive(made_prefix.path, made_prefix.lock, Broken())  # type: ignore[arg-type]
    assert threading.active_count() == threads


def test_what_cannot_be_packed(made_prefix: MadePrefix, tmp_path: Path) -> None:
    absent = CondaPackage("absent", "2.0", "0", "noarch", "https://example.org/absent.conda", "https://example.org")
    lock = PlatformLock(made_prefix.lock.platform, (*made_prefix.lock.conda, absent))
    destination = tmp_path / "a.tar.gz"
    with pytest.raises(ArtifactFailed, match=r"absent 2\.0 is missing"):
        write_archive(made_prefix.path, lock, destination)
    with pytest.raises(ArtifactFailed, match="win-64"):
        write_archive(made_prefix.path, PlatformLock(Platform.WIN_64), destination)
    with pytest.raises(ArtifactFailed, match="no conda-meta"):
        write_archive(tmp_path / "absent", made_prefix.lock, destination)
    assert not destination.exists()


def test_sockets_and_pipes_are_left_out(made_prefix: MadePrefix, tmp_path: Path) -> None:
    os.mkfifo(made_prefix.path / "lib/pipe")
    write_archive(made_prefix.path, made_prefix.lock, tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert "lib/pipe" not in tar.getnames()


def test_placeholders_are_those_of_the_packages(unpack: Unpack) -> None:
    target = unpack("elsewhere")
    assert PLACEHOLDER.encode() in (target / "lib/library.so").read_bytes()
    assert PLACEHOLDER.encode() in (target / "etc/text.conf").read_bytes()
