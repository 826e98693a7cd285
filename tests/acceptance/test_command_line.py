"""The real `conda-store` command against a real service, and what it downloads, used as clients use it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.acceptance.harness import tiny_channel
from tests.acceptance.service import API, PROGRAM, Service, serving
from tests.unpacking import unpack_all
from tests.waiting import PATIENCE
from tools.channel.serve import ChannelServer, Fault

REAL = "name: real\ndependencies: [python=3.11, numpy]\nvariables: {GREETING: hello there}\n"
IMPORT = "import numpy, sys; print(numpy.__version__, sys.prefix)"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChannelServer]:
    with ChannelServer(tiny_channel(tmp_path_factory.mktemp("channel"))) as server:
        yield server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, tiny: ChannelServer) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("s"), conda_default_channels=[tiny.url]) as service:
        yield service


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, real_channel: Path) -> Iterator[Service]:
    """A service over real packages, with one build of python and numpy."""
    with (
        ChannelServer(real_channel) as channel,
        serving(tmp_path_factory.mktemp("r"), conda_default_channels=[channel.url], compile_noarch_pyc=True) as service,
    ):
        service.completed(REAL)
        yield service


def build_of(service: Service, name: str) -> int:
    found: int = service.http.get(f"{API}/environment/default/{name}/").json()["data"]["current_build_id"]
    return found


def version_of_numpy(service: Service) -> str:
    rows = service.http.get(f"{API}/build/{build_of(service, 'real')}/packages/?search=numpy&exact=1").json()["data"]
    version: str = rows[0]["version"]
    return version


# --- commands -------------------------------------------------------------------------------------------------


def test_create_shows_list_describe_and_delete(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "environment.yaml"
    file.write_text("name: mine\ndependencies: [two]\n")
    assert "completed" in service.told("env", "create", "-f", str(file), "--description", "what for")
    created = json.loads(service.told("env", "create", "-f", str(file), "-n", "other", "--output", "json"))
    assert (created["status"], created["specification"]["name"]) == ("COMPLETED", "other")
    listed = json.loads(service.told("list", "environment", "--output", "json"))
    assert {"mine", "other"} <= {environment["name"] for environment in listed}
    assert "mine" in service.told("list", "environment")
    assert "COMPLETED" in service.told("env", "describe", "default/mine")
    assert "build completed" in service.told("build", "logs", "default/mine")
    service.told("env", "delete", "default/other", "--yes")
    refused = service.command("env", "describe", "default/other")
    assert (refused.returncode, "environment does not exist" in refused.stderr) == (1, True)


def test_who_am_i(service: Service) -> None:
    assert "default" in service.told("info")


def test_wait_is_silent_and_says_why_a_build_failed(service: Service, tiny: ChannelServer) -> None:
    build_id = service.submit("name: waited\ndependencies: [one]\n")
    assert service.told("wait", str(build_id), "--interval", "0.2") == ""
    assert service.told("wait", f"default/waited:{build_id}", "--artifact", "archive") == ""
    failed = service.submit("name: waited\ndependencies: [no-such-package]\n")
    answer = service.command("wait", str(failed), "--interval", "0.2")
    assert answer.returncode == 1
    assert "no-such-package" in answer.stderr
    tiny.faults["*repodata*"] = Fault(hang=True)
    held = service.submit("name: waited\ndependencies: [three]\n")
    answer = service.command("wait", str(held), "--timeout", "0.5", "--interval", "0.1")
    service.told("build", "cancel", str(held))
    assert service.ended(held)["status"] == "CANCELED"
    tiny.faults.clear()
    assert answer.returncode == 1
    assert "0.5" in answer.stderr
    assert service.command("wait", "999999").returncode == 1


def test_logs_are_followed_and_a_build_is_cancelled(service: Service, tiny: ChannelServer) -> None:
    tiny.faults["*/three-*"] = Fault(hang=True)
    build_id = service.submit("name: followed\ndependencies: [three]\n")
    following = subprocess.Popen(
        [PROGRAM, "build", "logs", str(build_id), "--follow"],
        env={**service.environment, "CONDA_STORE_URL": str(service.http.base_url).rstrip("/")},
        stdout=subprocess.PIPE,
        text=True,
    )
    service.in_phase(build_id, "downloading")
    service.told("build", "cancel", str(build_id))
    tiny.faults.clear()
    text, _ = following.communicate(timeout=PATIENCE)
    assert "Executing transaction" in text
    assert "CANCELED" in text


def test_solve_shows_what_would_be_installed(service: Service, tmp_path: Path) -> None:
    (tmp_path / "solve.yaml").write_text("dependencies: [two]\n")
    shown = json.loads(service.told("solve", str(tmp_path / "solve.yaml"), "--output", "json"))
    assert {package["name"] for package in shown} == {"one", "two"}
    (tmp_path / "solve.yaml").write_text("dependencies: ['one >7']\n")
    refused = service.command("solve", str(tmp_path / "solve.yaml"))
    assert refused.returncode == 1
    assert "`one >7`" in refused.stderr


def test_builds_are_compared_and_activated(service: Service) -> None:
    first = service.completed("name: compared\ndependencies: [one]\n")
    second = service.completed("name: compared\ndependencies: [two, three]\n")
    difference = service.told("build", "diff", str(first), str(second))
    assert "two" in difference
    service.told("env", "activate", "default/compared", str(first))
    service.linked_to(first, "compared")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["download", "999999"], 1),
        (["download", "no//where"], 1),
        (["run", "default/not-there", "--", "true"], 1),
        (["env", "create", "-f", "/no/such/file"], 2),
        (["env", "create"], 2),
        (["no-such-command"], 2),
        (["list"], 2),
        (["build", "cancel", "x"], 1),
    ],
)
def test_wrong_use_ends_in_words(service: Service, arguments: list[str], status: int) -> None:
    ended = service.command(*arguments)
    assert (ended.returncode, "Traceback" in ended.stderr) == (status, False), ended.stderr
    assert ended.stderr or ended.stdout


def test_a_server_that_is_not_there(service: Service) -> None:
    ended = subprocess.run(
        [PROGRAM, "list", "environment"],
        env={**service.environment, "CONDA_STORE_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 1
    assert "127.0.0.1:9" in ended.stderr
    assert "Traceback" not in ended.stderr


# --- what is downloaded ---------------------------------------------------------------------------------------


@pytest.mark.channel
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::DeprecationWarning")
def test_the_lockfile_is_one_for_conda_lock_and_for_us(real: Service, tmp_path: Path) -> None:
    from conda_lock.lockfile import parse_conda_lock_file

    build_id = build_of(real, "real")
    target = tmp_path / "conda-lock.yml"
    assert real.told("download", str(build_id), "--output-filename", str(target)) == str(target)
    parsed = parse_conda_lock_file(target)
    installed = {(row["name"], row["version"]) for row in real.http.get(
        f"{API}/build/{build_id}/packages/?size=100"
    ).json()["data"]}  # fmt: skip
    assert {(package.name, package.version) for package in parsed.package} == installed
    again = real.told("env", "create", "-f", str(target), "-n", "locked", "--format", "conda-lock", "--output", "json")
    second = json.loads(again)["id"]
    real.told("download", str(second), "--output-filename", str(tmp_path / "second.yml"))
    assert json.loads((tmp_path / "second.yml").read_text()) == json.loads(target.read_text())
    rows = real.http.get(f"{API}/build/{second}/packages/?size=100").json()["data"]
    assert {(row["name"], row["version"]) for row in rows} == installed


@pytest.mark.channel
@pytest.mark.parametrize("form", ["explicit", "pixi"])
def test_other_forms_of_the_lock_are_handed_back_in(real: Service, tmp_path: Path, form: str) -> None:
    build_id = build_of(real, "real")
    target = tmp_path / ("pixi.lock" if form == "pixi" else "explicit.txt")
    real.told("download", str(build_id), "--format", form, "--output-filename", str(target))
    created = json.loads(real.told("env", "create", "-f", str(target), "-n", f"from-{form}", "--output", "json"))
    assert created["status"] == "COMPLETED", real.log(created["id"])
    first, second = (
        {row["name"] for row in real.http.get(f"{API}/build/{number}/packages/?size=100").json()["data"]}
        for number in (build_id, created["id"])
    )
    assert first == second


CLIENTS = {  # neither PyPI nor Debian nor npm has them: they are asked where somebody has installed them
    "micromamba": ["create", "--yes", "--no-rc", "--prefix", "{prefix}", "--file", "{lockfile}"],
    "conda": ["create", "--yes", "--prefix", "{prefix}", "--file", "{explicit}"],
    "mamba": ["create", "--yes", "--prefix", "{prefix}", "--file", "{explicit}"],
}
INSTALLED = [name for name in CLIENTS if shutil.which(name)]


def files_for_clients(real: Service, directory: Path) -> dict[str, str]:
    """Where the lock is, in the forms that clients read, and where they are to install it."""
    places = {
        "lockfile": directory / "conda-lock.yml",
        "explicit": directory / "explicit.txt",
        "prefix": directory / "prefix",
    }
    build_id = str(build_of(real, "real"))
    real.told("download", build_id, "--output-filename", str(places["lockfile"]))
    real.told("download", build_id, "--format", "explicit", "--output-filename", str(places["explicit"]))
    return {name: str(place) for name, place in places.items()}


def imports_numpy(real: Service, prefix: str) -> None:
    told = subprocess.run([f"{prefix}/bin/python", "-c", IMPORT], capture_output=True, text=True, check=True).stdout
    assert told.split() == [version_of_numpy(real), prefix]


@pytest.mark.channel
@pytest.mark.parametrize("client", INSTALLED)
def test_condas_own_programs_install_the_lock(real: Service, tmp_path: Path, client: str) -> None:
    files = files_for_clients(real, tmp_path)
    command = [client, *(argument.format(**files) for argument in CLIENTS[client])]
    subprocess.run(
        command, check=True, timeout=PATIENCE * 4, env={**os.environ, "MAMBA_ROOT_PREFIX": str(tmp_path / "root")}
    )
    imports_numpy(real, files["prefix"])


@pytest.mark.channel
@pytest.mark.parametrize("client", INSTALLED[:1])
def test_conda_lock_installs_the_lock(real: Service, tmp_path: Path, client: str) -> None:
    files = files_for_clients(real, tmp_path)
    program = Path(sys.executable).with_name("conda-lock")
    command = [program, "install", "--conda", shutil.which(client), "--prefix", files["prefix"], files["lockfile"]]
    subprocess.run(command, check=True, timeout=PATIENCE * 4)  # type: ignore[arg-type]
    imports_numpy(real, files["prefix"])


@pytest.mark.channel
def test_the_pinned_yaml_gives_the_same_packages(real: Service, tmp_path: Path) -> None:
    build_id = build_of(real, "real")
    target = tmp_path / "environment.yaml"
    real.told("download", str(build_id), "--artifact", "yaml", "--output-filename", str(target))
    pinned = yaml.safe_load(target.read_text())
    assert all("=" in line for line in pinned["dependencies"] if isinstance(line, str))
    created = json.loads(real.told("env", "create", "-f", str(target), "-n", "pinned", "--output", "json"))
    first, second = (
        {(row["name"], row["version"], row["channel"]["name"]) for row in real.http.get(
            f"{API}/build/{number}/packages/?size=100"
        ).json()["data"]}
        for number in (build_id, created["id"])
    )  # fmt: skip
    assert first == second


@pytest.mark.channel
def test_the_archive_works_elsewhere(real: Service, tmp_path: Path) -> None:
    target = tmp_path / "archive.tar.gz"
    real.told("download", "default/real", "--artifact", "archive", "--output-filename", str(target))
    elsewhere = tmp_path / "somewhere else"
    with tarfile.open(target) as archive:
        unpack_all(archive, elsewhere)
    assert str(real.state).encode() not in (elsewhere / "bin" / "conda-unpack").read_bytes()
    subprocess.run([elsewhere / "bin" / "conda-unpack"], check=True, timeout=PATIENCE)
    shown = subprocess.run(
        [elsewhere / "bin" / "python", "-c", IMPORT], capture_output=True, text=True, timeout=PATIENCE
    )
    assert shown.stdout.strip() == f"{version_of_numpy(real)} {elsewhere}", shown.stderr
    activated = subprocess.run(
        ["bash", "-c", '. "$0/bin/activate" && echo "$GREETING" && command -v python', elsewhere],
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert activated.stdout.splitlines() == ["hello there", f"{elsewhere}/bin/python"], activated.stderr


@pytest.mark.channel
def test_the_installer_needs_a_shell_only(real: Service, tmp_path: Path) -> None:
    target = tmp_path / "install.sh"
    real.told("download", "default/real", "--artifact", "installer", "--output-filename", str(target))
    prefix = tmp_path / "installed"
    plain = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    ended = subprocess.run(
        ["sh", target, "-b", "-p", prefix], env=plain, capture_output=True, text=True, timeout=PATIENCE, cwd="/"
    )
    assert ended.returncode == 0, ended.stderr
    shown = subprocess.run([prefix / "bin" / "python", "-c", IMPORT], env=plain, capture_output=True, text=True)
    assert shown.stdout.strip() == f"{version_of_numpy(real)} {prefix}", shown.stderr


@pytest.mark.channel
def test_a_pip_part_that_cannot_be_had(real: Service, tiny: ChannelServer) -> None:
    """The index has no such thing, and no traceback of uv's or ours is shown."""
    text = f"name: pip\ndependencies: [python=3.11, {{pip: ['--index-url {tiny.url}/simple', 'no-such-thing']}}]\n"
    build = real.ended(real.submit(text))
    log = real.log(build["id"])
    assert build["status"] == "FAILED"
    assert "no-such-thing" in build["status_info"]
    assert "attempt 2" not in log
    assert "Traceback" not in log
    real.is_clean()


# --- run ------------------------------------------------------------------------------------------------------


@pytest.mark.channel
def test_run_keeps_what_it_downloaded(real: Service) -> None:
    cache = Path(real.environment["XDG_CACHE_HOME"])
    shown = real.told("run", "default/real", "--", "python", "-c", IMPORT).split()
    assert shown[0] == version_of_numpy(real)
    assert Path(shown[1]).is_relative_to(cache)
    assert real.told("run", "default/real", "--", "sh", "-c", 'echo "$GREETING"') == "hello there\n"
    packed = real.row("SELECT count(*) FROM build_artifact WHERE artifact_type = 'CONDA_PACK' AND state = 'READY'")
    assert real.command("run", "default/real", "--", "sh", "-c", "exit 7").returncode == 7
    assert (
        real.row("SELECT count(*) FROM build_artifact WHERE artifact_type = 'CONDA_PACK' AND state = 'READY'") == packed
    )
    assert not (cache / "conda-store").exists() or (cache / "conda-store").stat().st_mode & 0o022 == 0


@pytest.mark.channel
def test_a_script_that_names_its_environment(real: Service, tmp_path: Path) -> None:
    script = tmp_path / "script with blanks.py"
    script.write_text(
        f"#!/usr/bin/env conda-store\n#! conda-store run default/real -- python\n"
        f"import sys\n{IMPORT}\nprint(sys.argv[1:])\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    environment = {
        **real.environment,
        "CONDA_STORE_URL": str(real.http.base_url).rstrip("/"),
        "PATH": f"{Path(PROGRAM).parent}:{os.environ['PATH']}",
    }
    ended = subprocess.run([script, "a b", "-c"], env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.stdout.splitlines()[0].startswith(version_of_numpy(real)), ended.stderr
    assert ended.stdout.splitlines()[1] == "['a b', '-c']"


@pytest.mark.channel
def test_an_interrupted_run_ends_the_command(real: Service) -> None:
    command = "import time; print(1, flush=True); time.sleep(600)"
    with subprocess.Popen(
        [PROGRAM, "run", "default/real", "--", "python", "-c", command],
        env={**real.environment, "CONDA_STORE_URL": str(real.http.base_url).rstrip("/")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "1\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE) != 0


# --- serve ----------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken(service: Service, tmp_path: Path) -> None:
    port = service.http.base_url.port
    environment = {**service.environment, "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    ended = subprocess.run(
        [PROGRAM, "serve", f"--port={port}"], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == 1
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--config=/no/such/file.py"], "/no/such/file.py"),
        (["--CondaStore.lease_seconds=much"], "lease_seconds"),
        (["--CondaStore.conda_solve_platforms=amiga"], "amiga"),
        (["--CondaStore.database_url=sqlite:////proc/no/such.sqlite"], ""),
        (["--CondaStore.database_url=nonsense"], ""),
        (["--CondaStore.build_directory={nonsense}"], "build_directory"),
    ],
)
def test_a_configuration_that_cannot_be(service: Service, tmp_path: Path, options: list[str], said: str) -> None:
    environment = {**service.environment, "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    for program in ("serve", "worker"):
        further = ["--port=0"] if program == "serve" else []
        ended = subprocess.run(
            [PROGRAM, program, *further, *options],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert ended.returncode == 1, (program, ended.stderr)
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr, ended.stderr
        assert ended.stderr.strip()


def test_two_services_over_one_directory(service: Service) -> None:
    """Somebody starts a second one by mistake: both work, no build is done twice."""
    second = Service(service.directory, *service._arguments, **service._options)
    second.log_file = service.directory / "second.log"
    second.start()
    try:
        submitted = [
            (service, second)[number % 2].submit(f"name: s{number}\ndependencies: [one]\n") for number in range(6)
        ]
        for build_id in submitted:
            assert service.ended(build_id)["status"] == "COMPLETED"
            assert service.row("SELECT attempt FROM build WHERE id = ?", build_id) == (1,)
    finally:
        second.close()
    # the first goes on
    service.completed("name: still\ndependencies: [one]\n")
