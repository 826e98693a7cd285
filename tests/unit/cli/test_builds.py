import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from conda_store.domain.platform import current_platform

PROGRESS = {"status": "BUILDING", "packages_done": 3, "packages_total": 47, "bytes_done": 0, "bytes_total": 2048}
LINKING = ("progress", PROGRESS | {"phase": "linking"})


@pytest.fixture
def specification(tmp_path: Path) -> Path:
    path = tmp_path / "environment.yaml"
    path.write_text("# mine\nname: env1\ndependencies:\n  - python\n")
    return path


def completes(server, build_id: int = 7) -> None:
    server.build(build_id)
    server.events(
        build_id,
        ("progress", PROGRESS | {"phase": "solving", "packages_total": 0, "bytes_total": 0}),
        ("log", {"text": "solved\n"}),
        LINKING,
        LINKING,
        ("end", {"status": "COMPLETED", "status_info": None}),
    )


def test_an_environment_is_created_and_followed(command: Callable, server, specification: Path) -> None:
    server.data("POST /api/v1/specification/", {"build_id": 7})
    completes(server)
    outcome = command("env", "create", "-f", str(specification), "--namespace", "ns", "--logs")
    assert outcome.status == 0
    assert outcome.out == (
        "Build 7 of env1 is completed in 2.5 s (11.8MiB).\nUse it with `conda-store run 7 -- COMMAND`.\n"
    )
    assert outcome.err == "Build 7 of env1 is queued.\nsolving\nsolved\nlinking (3/47 packages, 0.0B/2.0KiB)\n"
    body = server.requests[0].json
    assert body == {"specification": specification.read_text(), "namespace": "ns"}
    assert "logs" not in server.requests[2].query


def test_a_build_that_is_tried_again_says_why(command: Callable, server, specification: Path) -> None:
    server.data("POST /api/v1/specification/", {"build_id": 7})
    server.build(7)
    waiting = PROGRESS | {"status": "QUEUED", "phase": "queued", "packages_total": 0, "bytes_total": 0}
    again = ("progress", waiting | {"status_info": "no answer (trying again in 2 s)"})
    server.events(7, ("progress", waiting), LINKING, again, ("end", {"status": "COMPLETED", "status_info": None}))
    told = command("env", "create", "-f", str(specification)).err
    assert told.endswith("\nqueued\nlinking (3/47 packages, 0.0B/2.0KiB)\nqueued: no answer (trying again in 2 s)\n")


def test_a_name_given_replaces_the_files(command: Callable, server, specification: Path) -> None:
    server.data("POST /api/v1/specification/", {"build_id": 7})
    completes(server)
    command("env", "create", "-f", str(specification), "-n", "other", "--description", "d")
    body = server.requests[0].json
    assert body["specification"] == '# mine\nname: "other"\ndependencies:\n  - python\n'
    assert (body["environment_name"], body["environment_description"]) == ("other", "d")
    assert server.requests[2].query["logs"] == ["false"]


@pytest.mark.parametrize(
    ("name", "options", "form"),
    [
        ("pixi.toml", [], "pixi.toml"),
        ("requirements.txt", [], "requirements.txt"),
        ("x.txt", ["--format", "explicit"], "explicit"),
        ("x.yml", [], None),
    ],
)
def test_the_form_comes_from_the_name_of_the_file(
    command: Callable, server, tmp_path: Path, name: str, options: list[str], form: str | None
) -> None:
    (tmp_path / name).write_text("x")
    server.data("POST /api/v1/specification/", {"build_id": 7})
    server.build(status="QUEUED")
    outcome = command("env", "create", "-f", name, "--no-wait", *options)
    assert outcome.out == ("Build 7 of env1 is queued. Follow it with `conda-store build logs 7 --follow`.\n")
    assert server.requests[0].json.get("format") == form


def test_a_lockfile_says_that_it_is_one(command: Callable, server, specification: Path) -> None:
    server.data("POST /api/v1/specification/", {"build_id": 7})
    server.build(status="QUEUED")
    command("env", "create", "-f", str(specification), "-n", "x", "--format", "conda-lock", "--no-wait")
    body = server.requests[0].json
    assert (body["is_lockfile"], body["specification"]) == (True, specification.read_text())


@pytest.mark.parametrize(("status", "word"), [("FAILED", "failed: no package x"), ("CANCELED", "was canceled")])
def test_a_build_that_does_not_complete_is_status_1(
    command: Callable, server, specification: Path, status: str, word: str
) -> None:
    server.data("POST /api/v1/specification/", {"build_id": 7})
    server.build(status=status)
    info = "no package x" if status == "FAILED" else None
    server.events(7, ("end", {"status": status, "status_info": info}))
    outcome = command("env", "create", "-f", str(specification))
    assert outcome.status == 1
    assert f"Build 7 of env1 {word}\nIts log: conda-store build logs 7\n" in outcome.err


def test_programs_get_the_build_as_json(command: Callable, server, specification: Path) -> None:
    server.data("POST /api/v1/specification/", {"build_id": 7})
    completes(server)
    outcome = command("env", "create", "-f", str(specification), "--output", "json")
    assert json.loads(outcome.out)["status"] == "COMPLETED"


@pytest.mark.parametrize("text", ["absent.yaml", "."])
def test_a_file_that_is_not_there_is_wrong_use(command: Callable, text: str) -> None:
    assert command("env", "create", "-f", text).status == 2


def test_a_file_that_is_no_text(command: Callable, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"name: \xff")
    outcome = command("env", "create", "-f", "x.yaml")
    assert (outcome.status, outcome.out) == (1, "")
    assert "no text in UTF-8 (byte 6)" in outcome.err


def test_ctrl_c_leaves_the_build_running(process: Callable, server, specification: Path) -> None:
    server.data("POST /api/v1/specification/", {"build_id": 7})
    server.build(status="BUILDING")
    asked, release = threading.Event(), threading.Event()

    def hang(request: object) -> object:
        asked.set()
        release.wait(60)
        return server.routes["GET /api/v1/build/7/"]

    server.routes["GET /api/v1/build/7/events/"] = hang
    child = process("env", "create", "-f", str(specification))
    try:
        assert asked.wait(60)
        os.kill(child.pid, signal.SIGINT)
        _, err = child.communicate(timeout=60)
    finally:
        release.set()
        child.kill()
        child.communicate()
    assert child.returncode == 130
    assert "Build 7 goes on. Follow it again with `conda-store build logs 7 --follow`" in err
    assert "Traceback" not in err
    assert not any(request.path.endswith("/cancel/") for request in server.requests)


def test_describe_shows_and_sets(command: Callable, server, rows: tuple) -> None:
    a_build, an_environment = rows
    server.data("GET /api/v1/environment/ns/env1/", an_environment())
    server.data("PUT /api/v1/environment/ns/env1/", None)
    server.page("GET /api/v1/build/", [a_build(6, status="FAILED", status_info="no package x\nmore"),
                 a_build(5, deleted_on="2026-11-21T04:00:00"), a_build(7)])  # fmt: skip
    out = command("env", "describe", "ns/env1").out
    assert out.startswith("ns/env1: hello\n")
    assert "│ 7  │ *" in out
    assert "no package x" in out
    assert out.count("COMPLETED, deleted") == 1
    assert command("env", "describe", "ns/env1", "new words").status == 0
    changes = [request.json for request in server.requests if request.method == "PUT"]
    assert changes == [{"description": "new words"}]
    shown = json.loads(command("env", "describe", "ns/env1", "--output", "json").out)
    assert [build["id"] for build in shown["builds"]] == [7, 6, 5]


def test_activate(command: Callable, server) -> None:
    server.data("PUT /api/v1/environment/ns/env1/", None)
    assert command("env", "activate", "ns/env1", "7").out == "Build 7 is the active one of ns/env1.\n"
    assert server.requests[0].json == {"build_id": 7}
    assert command("env", "activate", "env1", "7").status == 1
    assert command("env", "activate", "ns/env1", "x").status == 2


def test_delete_asks_first(command: Callable, server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.data("DELETE /api/v1/environment/ns/env1/", None)
    # without an answer nothing is deleted
    with Path("/dev/null").open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert command("env", "delete", "ns/env1").status == 1
    assert server.requests == []
    assert command("env", "delete", "ns/env1", "--yes").out == "ns/env1 is deleted.\n"


def test_cancel(command: Callable, server) -> None:
    server.build(status="BUILDING")
    server.data("PUT /api/v1/build/7/cancel/", None, "build 7 canceled")
    assert command("build", "cancel", "7").out == "build 7 canceled\n"


def test_delete_a_build(command: Callable, server) -> None:
    server.build()
    server.data("DELETE /api/v1/build/7/", None)
    assert command("build", "delete", "7", "--yes").out == "Build 7 is deleted.\n"


def test_rebuild_follows_the_new_build(command: Callable, server) -> None:
    server.build()
    server.data("PUT /api/v1/build/7/", {"build_id": 9}, "rebuild triggered")
    completes(server, 9)
    outcome = command("build", "rebuild", "7")
    assert outcome.status == 0
    assert "Build 9 of env1 is completed" in outcome.out


def test_logs_so_far(command: Callable, server) -> None:
    server.build()
    server.reply("GET /api/v1/build/7/logs/", b"", 307, {"location": "/storage/logs/7.log"})
    server.reply("GET /storage/logs/7.log", "löng\nlog\n".encode())
    assert command("build", "logs", "7").out == "löng\nlog\n"


def test_logs_followed(command: Callable, server) -> None:
    completes(server)
    assert command("build", "logs", "7", "--follow").out == "solved\n"


def test_diff(command: Callable, server) -> None:
    def package(name: str, version: str, channel: str = "https://conda.test/main") -> dict[str, object]:
        return {"id": 1, "channel": {"id": 1, "name": channel}, "name": name, "version": version}

    server.build(7)
    server.build(8)
    server.page("GET /api/v1/build/7/packages/", [package("a", "1"), package("b", "1.9"), package("c", "1")])
    server.page("GET /api/v1/build/8/packages/", [package("b", "1.10"), package("c", "1"), package("d", "2")])
    out = command("build", "diff", "7", "8").out
    assert "Build 7 to build 8" in out
    for row in (
        "│ a    │ 1      │       │ removed │",
        "│ b    │ 1.9    │ 1.10  │ up      │",
        "│ d    │        │ 2     │ added",
    ):
        assert row in out
    assert out.endswith("1 added, 1 removed, 1 changed, 1 unchanged\n")
    as_json = json.loads(command("build", "diff", "8", "7", "--output", "json").out)
    assert [change["change"] for change in as_json["changed"]] == ["down"]
    assert command("build", "diff", "7", "7").out == "0 added, 0 removed, 0 changed, 3 unchanged\n"


def test_diff_says_which_build_has_no_packages(command: Callable, server) -> None:
    server.build(7, status="FAILED")
    server.build(8)
    for number in (7, 8):
        server.page(f"GET /api/v1/build/{number}/packages/", [])
    outcome = command("build", "diff", "7", "8")
    assert outcome.err == "Build 7 is FAILED, and has no packages.\n"


def test_diff_sees_the_pip_part(command: Callable, server) -> None:
    def lock(*packages: tuple[str, str, str]) -> bytes:
        entries = [
            {"name": name, "version": version, "manager": "pip", "platform": platform}
            for name, version, platform in packages
        ]
        return json.dumps({"metadata": {"platforms": [ours, "other"]}, "package": entries}).encode()

    ours = current_platform().value
    for number in (7, 8, 9):
        server.build(number)
        server.page(f"GET /api/v1/build/{number}/packages/", [])
    server.reply("GET /api/v1/build/7/lockfile/", lock(("same", "1", ours), ("up", "1.9", ours), ("no", "1", "other")))
    server.reply("GET /api/v1/build/8/lockfile/", lock(("same", "1", ours), ("up", "1.10", ours), ("new", "1", ours)))
    out = command("build", "diff", "7", "8").out
    assert "│ up   │ 1.9    │ 1.10  │ up" in out
    assert out.endswith("1 added, 0 removed, 1 changed, 1 unchanged\n")
    assert command("build", "diff", "9", "7").out.endswith("2 added, 0 removed, 0 changed, 0 unchanged\n")


def test_wait_is_silent_when_it_is_reached(command: Callable, server) -> None:
    server.build(build_artifacts=[{"id": 1, "artifact_type": "YAML", "key": "x"}])
    for artifact in ("build", "yaml"):
        outcome = command("wait", "7", "--artifact", artifact)
        assert (outcome.status, outcome.out, outcome.err) == (0, "", "")


@pytest.mark.parametrize(("status", "text"), [("FAILED", "Build 7 failed"), ("CANCELED", "Build 7 was canceled")])
def test_wait_fails_with_the_build(command: Callable, server, status: str, text: str) -> None:
    server.build(status=status)
    outcome = command("wait", "7")
    assert (outcome.status, outcome.err) == (1, f"{text}\n")


def test_wait_does_not_wait_for_ever(command: Callable, server) -> None:
    server.build(status="BUILDING")
    outcome = command("wait", "7", "--timeout", "0", "--interval", "1")
    assert (outcome.status, outcome.err) == (1, "Build 7 failed to complete in 0 seconds\n")


def test_a_build_of_another_environment(command: Callable, server, rows: tuple) -> None:
    _, an_environment = rows
    server.build(environment_id=2)
    server.data("GET /api/v1/environment/ns/env1/", an_environment())
    assert command("wait", "ns/env1:7").err == "build 7 does not belong to environment ns/env1\n"
    assert command("wait", "a:b").err.startswith("unable to parse uri=a:b\n")


@pytest.mark.parametrize(
    ("options", "path", "query", "file"),
    [
        ([], "lockfile", {}, "build-7.lock"),
        (["--artifact", "logs"], "logs", {}, "build-7.log"),
        (["--artifact", "yaml"], "yaml", {}, "build-7.yaml"),
        (["--artifact", "archive"], "archive", {}, "build-7.tar.gz"),
        (["--artifact", "installer"], "installer", {}, "build-7.sh"),
        (["--format", "pixi"], "lockfile", {"format": ["pixi"]}, "build-7.pixi.lock"),
        (
            ["--format", "explicit", "--platform", "linux-64"],
            "lockfile",
            {"format": ["explicit"], "platform": ["linux-64"]},
            "build-7.txt",
        ),
        (["--output-filename", "here.yml"], "lockfile", {}, "here.yml"),
    ],
)
def test_download(
    command: Callable, server, tmp_path: Path, options: list[str], path: str, query: dict[str, list[str]], file: str
) -> None:
    server.build()
    server.reply(f"GET /api/v1/build/7/{path}/", b"", 307, {"location": "/storage/x"})
    server.reply("GET /storage/x", b"content")
    outcome = command("download", "7", *options)
    assert (outcome.status, outcome.out) == (0, str(tmp_path / file))
    assert (tmp_path / file).read_bytes() == b"content"
    assert server.requests[1].query == query


def test_download_to_where_nothing_can_be_written(command: Callable, server) -> None:
    server.build()
    outcome = command("download", "7", "--output-filename", "absent/x")
    assert outcome.status == 1
    assert outcome.err.endswith("absent/x: No such file or directory\n")


def test_a_form_belongs_to_the_lockfile(command: Callable) -> None:
    assert command("download", "7", "--artifact", "yaml", "--format", "pixi").status == 2


def test_solve(command: Callable, server, tmp_path: Path) -> None:
    solved = [
        {"name": "a", "version": "1", "channel_id": "conda-forge", "size": 100},
        {"name": "b", "version": "1", "channel_id": "conda-forge", "size": 10000},
    ]
    server.reply("GET /api/v1/specification/", json.dumps({"solve": solved}).encode())
    (tmp_path / "e.yaml").write_text("channels: [conda-forge]\ndependencies: [a, 'b >=1', {pip: [c]}]\n")
    out = command("solve", "e.yaml").out
    assert "│ b    │ 1       │ conda-forge │ 9.8KiB │" in out
    assert out.endswith("Total Size: 9.9KiB\n")
    query = server.requests[0].query
    assert (query["channel"], query["conda"], query["pip"]) == (["conda-forge"], ["a", "b >=1"], ["c"])
    as_json = json.loads(command("solve", "e.yaml", "--output", "json").out)
    assert as_json[1] == {**solved[1], "size": "9.8KiB"}


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "is no YAML"), ("- a\n", "valid dictionary"), ("channels: 3\n", "valid list")]
)
def test_solve_of_what_is_no_specification(command: Callable, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "e.yaml").write_text(text)
    outcome = command("solve", "e.yaml")
    assert outcome.status == 1
    assert message in outcome.err
