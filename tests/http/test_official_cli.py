"""The `conda-store` command that clients have (2025.2.2), against this server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conda_store.artifacts.oci.documents import ManifestForm
from conda_store.services.images import request_image
from tests.http.service import Service
from tests.needed import missing
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def program() -> Path:
    """The command, in an environment of its own that the set-up has made."""
    program = ROOT / ".cache" / "official-cli" / "bin" / "conda-store"
    if not program.exists():
        missing("the official command")
    return program


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("o"), max_page_size=20) as service:
        for number in range(23):
            service.submit("many", f"env-{number:02}", "zlib")
        while service.work():
            pass
        request_image(service.context, service.build("files", "one", "zlib", "numpy=1.26"), [ManifestForm.OCI.value])
        assert service.pack() == 1
        service.build("files", "broken", "fail-always")
        yield service


@pytest.fixture
def run(program: Path, service: Service, tmp_path: Path) -> Run:
    def run(*arguments: str, token: str = "admin") -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "COLUMNS": "200",
            "CONDA_STORE_URL": service.url,
            "CONDA_STORE_AUTH": "token",
            "CONDA_STORE_TOKEN": token,
        }
        return subprocess.run(
            [str(program), *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=tmp_path,
            env=environment,
        )

    return run


def listed(run: Run, *arguments: str) -> list[dict[str, object]]:
    done = run("list", *arguments, "--output", "json")
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, object]] = json.loads(done.stdout)
    return rows


def test_info(run: Run) -> None:
    done = run("info")
    assert done.returncode == 0, done.stderr
    assert "Default namespace is default" in done.stdout
    assert "Authenticated True" in done.stdout
    assert "environment:create" in done.stdout


def test_a_wrong_token_is_anonymous(run: Run) -> None:
    assert "Authenticated False" in run("info", token="wrong").stdout


def test_namespaces(run: Run) -> None:
    assert [row["name"] for row in listed(run, "namespace")] == ["files", "many"]


def test_all_environments_come_once(run: Run) -> None:
    names = [row["name"] for row in listed(run, "environment")]
    assert len(names) == len(set(names)) == 25


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (["--status", "FAILED"], 1),
        (["--artifact", "LOCKFILE"], 24),
        (["--artifact", "DOCKER_MANIFEST"], 1),
        (["--artifact", "DOCKER_BLOB"], 1),
        (["--package", "numpy"], 1),
        (["--package", "zlib", "--package", "numpy"], 1),
        (["--status", "COMPLETED", "--package", "zlib"], 24),
    ],
)
def test_filters(run: Run, filters: list[str], count: int) -> None:
    assert len(listed(run, "environment", *filters)) == count
    assert len(listed(run, "build", *filters)) == count


def test_builds_over_several_pages(run: Run) -> None:
    ids = [row["id"] for row in listed(run, "build")]
    assert ids == sorted(set(ids))  # type: ignore[type-var]
    assert len(ids) == 25


def test_tables_are_drawn(run: Run) -> None:
    for noun, title in [("namespace", "Namespaces"), ("environment", "Environments"), ("build", "Builds")]:
        done = run("list", noun)
        assert (done.returncode, title in done.stdout) == (0, True), done.stderr


def test_waiting(run: Run) -> None:
    assert run("wait", "files/one", "--timeout", "60", "--interval", "1").returncode == 0
    for artifact in ("lockfile", "docker"):
        assert run("wait", "files/one", "--artifact", artifact, "--timeout", "60", "--interval", "1").returncode == 0
    failed = run("wait", "files/broken", "--timeout", "60", "--interval", "1")
    assert (failed.returncode, "failed" in failed.stderr) == (1, True)


def test_downloading(run: Run, tmp_path: Path) -> None:
    done = run("download", "files/one")
    assert done.returncode == 0, done.stderr
    lockfile = json.loads(Path(done.stdout).read_text())
    assert {package["name"] for package in lockfile["package"]} == {"numpy", "zlib"}
    done = run("download", "files/one", "--artifact", "yaml", "--output-filename", "pinned.yaml")
    assert done.returncode == 0, done.stderr
    assert "numpy=1.26" in (tmp_path / "pinned.yaml").read_text()
    done = run("download", "files/one", "--artifact", "logs", "--output-filename", "log.txt")
    assert "Preparing transaction:" in (tmp_path / "log.txt").read_text()


def test_what_may_not_be_seen_is_not_downloaded(run: Run) -> None:
    assert run("download", "files/one", token="stranger").returncode == 1


def test_solving(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "environment.yaml"
    file.write_text("name: x\nchannels: [forge]\ndependencies: [zlib=1.3, {pip: [flask]}, numpy]\n")
    done = run("solve", str(file))
    assert done.returncode == 0, done.stderr
    assert "zlib" in done.stdout and "https://conda.anaconda.org/forge" in done.stdout and "Total Size" in done.stdout
    done = run("solve", str(file), "--output", "json")
    assert {row["name"]: row["version"] for row in json.loads(done.stdout)}["zlib"] == "1.3"


def test_tokens_are_made(run: Run, service: Service) -> None:
    for arguments in ((), ("--permission", "default/*:viewer", "--namespace", "default")):
        outcome = run("token", *arguments)
        assert outcome.returncode == 0, outcome.stderr
        with service.client(outcome.stdout.strip()) as client:
            assert client.get("/api/v1/permission/").json()["data"]["authenticated"] is True
