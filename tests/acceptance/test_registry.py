"""Environments as containers: pulled and run by the programs that people use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.clients import LIMIT, docker_daemon, run, told
from tests.acceptance.service import Service, serving
from tests.conftest import ROOT, missing
from tests.waiting import wait_for

pytestmark = [pytest.mark.acceptance, pytest.mark.channel]

BASE = ROOT / ".cache" / "base-image.tar"
SCIENCE = """
name: science
dependencies: [python=3.13, numpy, odd-python, odd-activate, odd-clobber-a, odd-clobber-b]
variables: {SCIENCE_HOME: here}
"""
CODE = "import numpy, os, sys; print(numpy.ones(3).sum(), sys.prefix, os.environ['ODD_ACTIVATED'])"
NO_TOKEN = "unauthorized: authentication required: the password has to be a conda-store token that is valid"
ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"


@pytest.fixture(scope="module")
def service(real_channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    for program in ("skopeo", "umoci", "unshare"):
        if shutil.which(program) is None:
            missing(f"the program {program}")
    if not BASE.exists():
        missing("the base image")
    directory = tmp_path_factory.mktemp("s")
    options = {
        "conda_default_channels": [real_channel.as_uri()],
        "default_docker_base_image": f"tar:{BASE}",
        "offer_zstd_images": True,
    }
    with serving(directory, **options) as service:
        service.completed(SCIENCE)
        service.completed(SCIENCE, namespace="secret")
        yield service


def host(service: Service) -> str:
    return f"localhost:{service.http.base_url.port}"


def copied(service: Service, name: str, target: Path, *options: str) -> subprocess.CompletedProcess[str]:
    source = f"docker://{host(service)}/{name}"
    return run("skopeo", "copy", "-q", "--src-tls-verify=false", *options, source, f"oci:{target}:pulled")


@pytest.fixture(scope="module")
def root(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's root directory, as skopeo and umoci lay it out, with its configuration beside it."""
    directory = tmp_path_factory.mktemp("pulled")
    done = copied(service, "default/science:latest", directory / "image")
    assert done.returncode == 0, done.stderr
    told("umoci", "unpack", "--image", f"{directory}/image:pulled", directory / "bundle")
    return directory / "bundle" / "rootfs"


def in_root(root: Path, *command: str) -> str:
    """What a command prints that is run as a container runs it: with the image's variables, through its entry point."""
    config = json.loads((root.parent / "config.json").read_bytes())["process"]
    variables = [item for item in config["env"] if not item.startswith(("HOME=", "TERM="))]
    entry = "/opt/conda/etc/conda-store/activated"
    assert config["args"] == [entry, "/bin/sh"]
    variables.append("PYTHONDONTWRITEBYTECODE=1")  # another test compares the files
    script = 'mount -t proc proc "$1/proc" && shift && exec "$@"'
    chroot = shutil.which("chroot") or "/usr/sbin/chroot"
    return told("unshare", "-m", "sh", "-c", script, "sh", root, "env", "-i", *variables, chroot, root, entry, *command)


def test_python_and_commands_run_in_what_skopeo_and_umoci_unpack(root: Path) -> None:
    assert in_root(root, "python", "-c", CODE) == "3.0 /opt/conda /opt/conda"
    assert in_root(root, "odd-python") == "/opt/conda"
    assert in_root(root, "sh", "-c", "echo $SCIENCE_HOME $ODD_VARIABLE $CONDA_DEFAULT_ENV") == (
        "here of the package science"
    )


def test_the_image_holds_what_the_environment_holds(service: Service, root: Path) -> None:
    prefix = service.link("science").resolve()
    theirs, ours = files(prefix), files(root / "opt/conda")
    assert len(theirs) > 3000
    assert set(ours) ^ set(theirs) == {"etc/conda-store/activated"}
    differing = [path for path, content in theirs.items() if ours[path] != content]
    own = str(prefix).encode()
    moved = [path for path in differing if own in (prefix / path).read_bytes() or path.startswith("conda-meta/")]
    assert sorted(set(differing) - set(moved)) == []
    assert not [path for path, content in ours.items() if isinstance(content, bytes) and own in content]


def files(root: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for directory, folders, names in os.walk(root):
        for file in (Path(directory, name) for name in [*names, *folders]):
            if file.is_symlink():
                found[str(file.relative_to(root))] = str(file.readlink())
            elif file.is_file():
                found[str(file.relative_to(root))] = file.read_bytes()
    return found


def test_the_blobs_that_a_client_pulls_are_artifacts_of_the_build(service: Service, tmp_path: Path) -> None:
    build_id = service.completed(SCIENCE.replace("science", "listed"))
    pulled = copied(service, "default/listed", tmp_path / "image")
    assert pulled.returncode == 0, pulled.stderr
    builds = service.http.get("/api/v1/build/?artifact=DOCKER_BLOB").json()["data"]
    assert build_id in [row["id"] for row in builds]
    environments = service.http.get("/api/v1/environment/?artifact=DOCKER_BLOB").json()["data"]
    assert "listed" in [row["name"] for row in environments]
    listed = service.http.get(f"/api/v1/build/{build_id}/").json()["data"]["build_artifacts"]
    keys = {item["key"] for item in listed if item["artifact_type"] == "DOCKER_BLOB"}
    digests = {blob.name for blob in (tmp_path / "image/blobs/sha256").iterdir()}
    manifest = json.loads((tmp_path / "image/index.json").read_bytes())["manifests"][0]["digest"]
    parts = digests - {manifest.removeprefix("sha256:")}
    assert len(parts) > 5
    assert {f"docker/blobs/{digest}" for digest in parts} | {f"docker/manifest/{manifest}"} <= keys


def test_a_private_image_needs_a_token(service: Service, tmp_path: Path) -> None:
    refused = copied(service, "secret/science", tmp_path / "refused")
    assert refused.returncode != 0
    assert "unauthorized" in refused.stderr.lower() or "authentication required" in refused.stderr.lower()
    wrong = copied(service, "secret/science", tmp_path / "wrong", "--src-creds=me:wrong")
    assert wrong.returncode != 0
    assert NO_TOKEN in wrong.stderr
    token = (service.data / "admin-token").read_text()
    pulled = copied(service, "secret/science", tmp_path / "pulled", f"--src-creds=me:{token}")
    assert pulled.returncode == 0, pulled.stderr


def test_an_update_moves_what_changed_and_no_more(service: Service, tmp_path: Path) -> None:
    def layers(name: str) -> dict[str, int]:
        manifest = service.http.get(f"/v2/default/{name}/manifests/latest").json()
        return {layer["digest"]: layer["size"] for layer in manifest["layers"]}

    def fetched() -> dict[str, int]:
        """What is in the directory that a client pulls to, by digest."""
        assert copied(service, "default/updated", target).returncode == 0
        return {f"sha256:{blob.name}": blob.stat().st_size for blob in (target / "blobs/sha256").iterdir()}

    target = tmp_path / "image"
    service.completed(SCIENCE.replace("science", "updated").replace("odd-clobber-b", "demo-lib=1.0"))
    before, had = layers("updated"), fetched()
    service.completed(SCIENCE.replace("science", "updated").replace("odd-clobber-b", "demo-lib=1.1"))
    after, has = layers("updated"), fetched()
    fresh = {digest: size for digest, size in after.items() if digest not in before}
    assert len(fresh) == 2
    assert sum(fresh.values()) < 10_000 < sum(after.values())
    # besides these the client got the manifest and the configuration
    assert fresh.items() <= {digest: size for digest, size in has.items() if digest not in had}.items()
    assert len(has) == len(had) + 4


def test_packages_by_their_names(service: Service, tmp_path: Path) -> None:
    name = "conda-store-dynamic/python.lt.3.13/odd-python"
    pulled = copied(service, name, tmp_path / "image")
    assert pulled.returncode == 0, pulled.stderr
    told("umoci", "unpack", "--image", f"{tmp_path}/image:pulled", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/opt/conda/lib/python3.11/site-packages/odd_python").is_dir()
    hopeless = copied(service, "conda-store-dynamic/no-such-package", tmp_path / "no")
    assert hopeless.returncode != 0
    assert "no-such-package" in hopeless.stderr


# --- podman, with Debian's runc: its own runtime does not like the control groups of such machines ------------

PODMAN = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., tuple[str, ...]]]:
    """Podman with a store of its own; gives its command lines."""
    for program in ("podman", "runc"):
        if shutil.which(program) is None:
            missing(f"the program {program}")
    directory = tmp_path_factory.mktemp("podman")
    # it takes paths of 50 characters at most for this
    passing = Path(tempfile.mkdtemp(prefix="podman-", dir="/tmp"))
    (directory / "containers.conf").write_text(PODMAN)
    (directory / "auth.json").write_text("{}")

    def command(*arguments: str) -> tuple[str, ...]:
        return (
            "env", f"CONTAINERS_CONF={directory}/containers.conf", f"REGISTRY_AUTH_FILE={directory}/auth.json",
            "podman", f"--root={directory}/root", f"--runroot={passing}", *arguments,
        )  # fmt: skip

    yield command
    run(*command("rmi", "--all", "--force"))
    run("umount", "-l", directory / "root" / "overlay")
    shutil.rmtree(passing, ignore_errors=True)


def test_podman_runs_an_environment(service: Service, podman: Callable[..., tuple[str, ...]]) -> None:
    image = f"{host(service)}/default/science"
    started = podman("run", "--rm", "--tls-verify=false", "--network=host", image)
    assert told(*started, "python", "-c", CODE).splitlines()[-1] == "3.0 /opt/conda /opt/conda"
    assert told(*started, "odd-python").splitlines()[-1] == "/opt/conda"


def test_podman_runs_an_environment_in_zstd(service: Service, podman: Callable[..., tuple[str, ...]]) -> None:
    image = f"{host(service)}/default/science:latest-zstd"
    assert layer_types(image) == {ZSTD_LAYER}
    told(*podman("rmi", "--all", "--force"))
    started = podman("run", "--rm", "--tls-verify=false", "--network=host", image)
    assert told(*started, "python", "-c", CODE).splitlines()[-1] == "3.0 /opt/conda /opt/conda"


def layer_types(image: str) -> set[str]:
    manifest = json.loads(told("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{image}"))
    return {layer["mediaType"] for layer in manifest["layers"]}


def test_podman_pulls_a_private_image_once_logged_in(service: Service, podman: Callable[..., tuple[str, ...]]) -> None:
    pull = podman("pull", "--tls-verify=false", f"{host(service)}/secret/science")
    assert run(*pull).returncode != 0
    token = (service.data / "admin-token").read_text()
    told(*podman("login", "--tls-verify=false", "-u", "me", "-p", token, host(service)))
    told(*pull)


# --- containerd -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ctr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """The command line of a containerd of our own."""
    for program in ("containerd", "ctr", "runc"):
        if shutil.which(program) is None:
            missing(f"the program {program}")
    directory = tmp_path_factory.mktemp("containerd")
    (directory / "config.toml").write_text(
        f'version = 2\nroot = "{directory}/root"\nstate = "{directory}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{directory}/socket"\n[ttrpc]\naddress = "{directory}/socket.ttrpc"\n'
    )
    with (directory / "log").open("wb") as log:
        daemon = subprocess.Popen(["containerd", "-c", directory / "config.toml"], stdout=log, stderr=log)
    command = ("ctr", "-a", f"{directory}/socket")
    try:
        wait_for("containerd answers", lambda: run(*command, "version").returncode == 0)
        yield command
    finally:
        daemon.terminate()
        daemon.wait(LIMIT)


def test_containerd_runs_an_environment(service: Service, ctr: tuple[str, ...]) -> None:
    image = f"{host(service)}/default/science:latest"
    told(*ctr, "images", "pull", "--plain-http", image)
    started = (*ctr, "run", "--rm", "--net-host", image)
    # with a command `ctr` leaves the entry point out
    entry = "/opt/conda/etc/conda-store/activated"
    assert told(*started, "one", entry, "python", "-c", CODE) == "3.0 /opt/conda /opt/conda"
    assert told(*started, "two", "odd-python") == "/opt/conda"


def test_containerd_runs_an_environment_in_zstd(service: Service, ctr: tuple[str, ...]) -> None:
    image = f"{host(service)}/default/science:latest-zstd"
    assert layer_types(image) == {ZSTD_LAYER}
    # where it has unpacked nothing yet: the diffIDs are those of the image in gzip
    told(*ctr, "images", "pull", "--plain-http", "--snapshotter=native", image)
    started = (*ctr, "run", "--rm", "--net-host", "--snapshotter=native", image)
    entry = "/opt/conda/etc/conda-store/activated"
    assert told(*started, "three", entry, "python", "-c", CODE) == "3.0 /opt/conda /opt/conda"


def test_containerd_pulls_a_private_image_with_a_token(service: Service, ctr: tuple[str, ...]) -> None:
    pull = (*ctr, "images", "pull", "--plain-http")
    image = f"{host(service)}/secret/science:latest"
    assert run(*pull, image).returncode != 0
    token = (service.data / "admin-token").read_text()
    told(*pull, "-u", f"me:{token}", image)


# --- Docker ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_daemon(tmp_path_factory.mktemp("docker")) as address:
        yield address


def test_docker_runs_an_environment(service: Service, docker: str) -> None:
    image = f"{host(service)}/default/science"
    started = ("docker", "run", "--rm", "--network=host", image)
    assert told(*started, "python", "-c", CODE, DOCKER_HOST=docker).splitlines()[-1] == "3.0 /opt/conda /opt/conda"
    assert told(*started, "odd-python", DOCKER_HOST=docker) == "/opt/conda"
    interactive = f"docker run --rm -it --network=host {image} python -c 'import sys; print(sys.stdout.isatty())'"
    assert "True" in told("script", "-qec", interactive, "/dev/null", DOCKER_HOST=docker)
    # without a command there is a shell, which is activated
    shell = ("script", "-qec", f"docker run --rm -it --network=host {image}", "/dev/null")
    typed = 'test -t 0 && odd-python && echo "$SCIENCE_HOME $ODD_ACTIVATED"\nexit\n'
    environment = {**os.environ, "DOCKER_HOST": docker}
    done = subprocess.run(
        shell, input=typed, capture_output=True, text=True, timeout=LIMIT, env=environment, check=True
    )
    assert "/opt/conda\nhere /opt/conda\n" in done.stdout


def test_docker_runs_packages_by_their_names(service: Service, docker: str) -> None:
    image = f"{host(service)}/conda-store-dynamic/python.lt.3.13/odd-python"
    started = ("docker", "run", "--rm", "--network=host", image)
    assert told(*started, "odd-python", DOCKER_HOST=docker).splitlines()[-1] == "/opt/conda"


def test_docker_pulls_a_private_image_once_logged_in(service: Service, docker: str, tmp_path: Path) -> None:
    image = f"{host(service)}/secret/science"
    variables = {"DOCKER_HOST": docker, "DOCKER_CONFIG": str(tmp_path)}
    assert run("docker", "pull", image, **variables).returncode != 0
    wrong = run("docker", "login", host(service), "-u", "me", "-p", "wrong", **variables)
    assert wrong.returncode != 0
    assert NO_TOKEN in wrong.stderr
    token = (service.data / "admin-token").read_text()
    told("docker", "login", host(service), "-u", "me", "-p", token, **variables)
    told("docker", "pull", image, **variables)
