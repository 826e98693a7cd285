import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conda_store.cli.shebang import expand_script
from conda_store.errors import InvalidInput


def serve_archive(server, content: bytes, build_id: int = 7) -> None:
    server.build(build_id)
    server.reply(f"GET /api/v1/build/{build_id}/archive/", content)


def finished(child: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = child.communicate(timeout=120)
    return child.returncode, out, err


def fetched(server) -> int:
    return sum(request.path.endswith("/archive/") for request in server.requests)


def test_a_command_runs_in_the_environment(process: Callable, server, archive: Callable, home: Path) -> None:
    serve_archive(server, archive())
    status, out, err = finished(process("run", "7"))
    assert (status, err) == (0, "")
    prefix = Path(out.removeprefix("python of ").partition(":")[0])
    assert prefix.is_relative_to(home / "cache" / "conda-store" / "run")
    assert (prefix / "unpacked").read_text() == str(prefix)
    # the second run takes it from the cache
    assert (
        finished(process("run", "7", "--", "python", "-c", "print('a b')"))[1]
        == f"python of {prefix}: -c print('a b')\n"
    )
    assert fetched(server) == 1


def test_options_of_the_command_need_no_dashes_before_it(process: Callable, server, archive: Callable) -> None:
    serve_archive(server, archive())
    assert finished(process("run", "7", "python", "-c", "x  y"))[1].endswith(": -c x  y\n")


def test_nothing_in_a_command_is_read_by_a_shell(process: Callable, server, archive: Callable) -> None:
    serve_archive(server, archive())
    assert finished(process("run", "7", "--", "printf", "%s|", "$HOME", "`id`", "", "a\nb"))[1] == "$HOME|`id`||a\nb|"


@pytest.mark.parametrize("options", [[], ["--no-cache"]])
def test_the_commands_status_is_passed_on(process: Callable, server, archive: Callable, options: list[str]) -> None:
    serve_archive(server, archive())
    assert finished(process("run", *options, "7", "--", "sh", "-c", "exit 42"))[0] == 42
    assert finished(process("run", *options, "7", "--", "no-such-program"))[0] == 127


@pytest.mark.parametrize(("options", "expected"), [([], {-15}), (["--no-cache"], {143})])
def test_signals_reach_the_command(
    process: Callable, server, archive: Callable, options: list[str], expected: set[int]
) -> None:
    serve_archive(server, archive())
    child = process("run", *options, "7", "--", "sh", "-c", "echo ready; exec sleep 60")
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        os.kill(child.pid, signal.SIGTERM)
        child.communicate(timeout=60)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode in expected


def test_without_cache_nothing_stays(
    process: Callable, server, archive: Callable, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    serve_archive(server, archive())
    assert finished(process("run", "--no-cache", "7"))[0] == 0
    assert not (home / "cache").exists()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_two_runs_share_one_download(process: Callable, server, archive: Callable) -> None:
    serve_archive(server, archive())
    children = [process("run", "7") for _ in range(3)]
    assert {finished(child)[0] for child in children} == {0}
    assert fetched(server) == 1


@pytest.mark.parametrize(
    ("status", "text"), [("BUILDING", "conda-store wait 7"), ("FAILED", "conda-store build logs 7")]
)
def test_only_a_completed_build_is_run(command: Callable, server, status: str, text: str) -> None:
    server.build(status=status)
    outcome = command("run", "7")
    assert outcome.status == 1
    assert f"build 7 is {status}" in outcome.err
    assert text in outcome.err


def test_the_archive_is_what_can_be_run(command: Callable) -> None:
    outcome = command("run", "7", "--artifact", "lockfile")
    assert outcome.status == 2
    assert "conda-store download 7 --artifact lockfile" in outcome.err


def test_what_is_kept_runs_while_the_server_is_away_but_not_against_its_word(
    process: Callable, server, archive: Callable
) -> None:
    serve_archive(server, archive())
    assert finished(process("run", "7"))[0] == 0
    server.routes.clear()
    status, out, err = finished(process("run", "7"))
    assert (status, out) == (1, "")
    assert "nothing at GET /api/v1/build/7/" in err
    server.stop()
    status, out, err = finished(process("run", "7"))
    assert (status, err) == (0, "The server is not reached; running build 7 from the cache.\n")
    assert out.startswith("python of ")
    assert finished(process("run", "8"))[0] == 1


def test_a_script_names_its_environment(process: Callable, server, archive: Callable, tmp_path: Path) -> None:
    serve_archive(server, archive())
    script = tmp_path / "script.py"
    script.write_text("#!/usr/bin/env conda-store\n#! conda-store run 7 -- python -u\nprint(1)\n")
    status, out, _ = finished(process(str(script), "--flag", "value"))
    assert status == 0
    assert out.endswith(f": -u {script} --flag value\n")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("#!/usr/bin/env conda-store\n#! conda-store run a/b:1 -- python\n", ["run", "a/b:1", "--", "python"]),
        (
            "#! /usr/bin/conda-store\n#!conda-store run\t--no-cache a/b -- python\n",
            ["run", "--no-cache", "a/b", "--", "python"],
        ),
        ("#!/usr/bin/env conda-store\n#! conda-store run a/b\n", ["run", "a/b", "--", "python"]),
        ("#!/usr/bin/env conda-store\n#! conda-store run a/b --\n", ["run", "a/b", "--", "python"]),
        ("#!/usr/bin/env conda-store\n#! conda-store run a/b sh\n", ["run", "a/b", "sh"]),
        (
            "#!/usr/bin/env conda-store\n#! conda-store run a/b\n#! conda-store run -- python 'x y'\nx\n"
            "#! conda-store run no\n",
            ["run", "a/b", "--", "python", "x y"],
        ),
    ],
)
def test_how_a_scripts_head_is_read(tmp_path: Path, head: str, expected: list[str]) -> None:
    script = tmp_path / "script"
    script.write_text(head)
    assert expand_script([str(script), "1"]) == [*expected, str(script), "1"]


@pytest.mark.parametrize("content", ["", "#!/bin/sh\n", "#!/usr/bin/env conda-store run\n", "conda-store\n", "\0"])
def test_other_files_are_no_scripts(tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "info").write_text(content)
    monkeypatch.chdir(tmp_path)
    assert expand_script(["info", "--x"]) == ["info", "--x"]
    assert expand_script(["absent"]) == ["absent"]
    assert expand_script([str(tmp_path)]) == [str(tmp_path)]


@pytest.mark.parametrize(
    "head", ["#!/usr/bin/env conda-store\n", "#!/usr/bin/env conda-store\n#! conda-store run 'a\n"]
)
def test_a_script_without_environment_says_what_is_missing(tmp_path: Path, head: str) -> None:
    (tmp_path / "script").write_text(head)
    with pytest.raises(InvalidInput, match="script"):
        expand_script([str(tmp_path / "script")])
