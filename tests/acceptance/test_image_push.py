"""Images brought elsewhere: to a directory, and to a registry that is not ours."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from conda_store.artifacts.oci.layouts import image_of, push
from conda_store.artifacts.oci.remote import Login, Remote, RemoteManifest
from tests.acceptance.docker_registry import PASSWORD, USER, DockerRegistry, docker_registry
from tests.acceptance.harness import tiny_channel
from tests.acceptance.service import API, PROGRAM, Service, serving
from tests.files import files_below
from tests.waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.acceptance, pytest.mark.channel]

OCI = "application/vnd.oci.image.manifest.v1+json"
SPECIFICATION = "name: {}\ndependencies: [{}]\n"
_MOVED = re.compile(r": (\d+) of (\d+) blobs")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry") / "r") as registry:
        yield registry


def put_base(registry: DockerRegistry) -> str:
    """A base image that only those who have the login may pull."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("etc"))
    layer = gzip.compress(raw.getvalue(), mtime=0)
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["BELOW=private"]}}).encode()
    blobs = {f"sha256:{hashlib.sha256(data).hexdigest()}": data for data in (config, layer)}
    (config_digest, _), (layer_digest, _) = blobs.items()
    document = {
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": len(config)
        },
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer_digest, "size": len(layer)}
        ],
    }  # fmt: skip
    top = RemoteManifest(json.dumps(document).encode(), OCI)
    target = Remote(f"http://{registry.host}", "private/base", Login(USER, PASSWORD))
    push(image_of(top, target.manifest), lambda digest: [blobs[digest]], target, "1")
    return f"{registry.host}/private/base:1"


@pytest.fixture(scope="module")
def service(registry: DockerRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    channel = tiny_channel(tmp_path_factory.mktemp("channel"))
    options = {
        "conda_default_channels": [channel.as_uri()],
        "default_docker_base_image": put_base(registry),
        "registry_auth_file": str(registry.logins),
        "push_images_to": [f"{registry.host}/envs/{{namespace}}-{{name}}"],
    }
    with serving(tmp_path_factory.mktemp("s"), **options) as service:
        yield service


def moved(done: subprocess.CompletedProcess[str]) -> tuple[int, int]:
    """How many blobs were moved, and of how many."""
    assert done.returncode == 0, done.stderr
    match = _MOVED.search(done.stderr)
    assert match is not None, done.stderr
    return int(match[1]), int(match[2])


def digest_at(service: Service, name: str) -> str:
    answer = service.http.get(f"/v2/{name}/manifests/latest", headers={"Accept": OCI})
    assert answer.status_code == httpx.codes.OK, answer.text
    return str(answer.headers["Docker-Content-Digest"])


def test_a_base_image_that_needs_a_login(service: Service) -> None:
    service.completed(SPECIFICATION.format("based", "one"))
    manifest = service.http.get("/v2/default/based/manifests/latest", headers={"Accept": OCI}).json()
    config = service.http.get(f"/v2/default/based/blobs/{manifest['config']['digest']}").json()
    assert "BELOW=private" in config["config"]["Env"]


def test_an_image_saved_to_a_directory(service: Service, tmp_path: Path) -> None:
    build_id = service.completed(SPECIFICATION.format("saved", "one, two"))
    layout = tmp_path / "layout"
    done = service.command("image", "save", "default/saved", "-o", str(layout))
    assert done.stdout.strip() == digest_at(service, "default/saved")
    assert moved(done) == (5, 5)  # base, two packages, the environment's own, the configuration
    again = service.command("image", "save", f"default/saved:{build_id}", "-o", str(layout))
    assert moved(again) == (0, 5)
    assert (layout / "blobs/sha256" / done.stdout.strip()[7:]).exists()
    listed = json.loads((layout / "index.json").read_bytes())["manifests"]
    assert {item["annotations"]["org.opencontainers.image.ref.name"] for item in listed} == {"latest", str(build_id)}
    for blob in (layout / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    inspected = subprocess.run(
        ["skopeo", "inspect", f"oci:{layout}:latest"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert inspected.returncode == 0, inspected.stderr
    assert json.loads(inspected.stdout)["Digest"] == done.stdout.strip()
    # a damaged blob is fetched again
    damaged = max((layout / "blobs" / "sha256").iterdir(), key=lambda file: file.stat().st_size)
    damaged.write_bytes(b"\0" * damaged.stat().st_size)
    assert moved(service.command("image", "save", "default/saved", "-o", str(layout))) == (1, 5)


def pushed(service: Service, registry: DockerRegistry, *arguments: str) -> subprocess.CompletedProcess[str]:
    login = ["--username", USER, "--password-stdin"]
    return service.command("image", "push", *arguments, *login, input=f"{PASSWORD}\n")


def test_a_second_push_moves_what_changed(service: Service, registry: DockerRegistry) -> None:
    service.completed(SPECIFICATION.format("pushed", "one, three"))
    target = f"{registry.host}/team/pushed"
    first = pushed(service, registry, "default/pushed", f"{target}:1")
    assert moved(first) == (5, 5)
    assert first.stdout.strip() == digest_at(service, "default/pushed")
    assert moved(pushed(service, registry, "default/pushed", f"{target}:same")) == (0, 5)
    service.completed(SPECIFICATION.format("pushed", "one, two"))
    second = pushed(service, registry, "default/pushed", f"{target}:2")
    assert moved(second) == (3, 5)  # the package, the environment's own, the configuration
    with registry.http as http:
        assert set(http.get("/team/pushed/tags/list").json()["tags"]) == {"1", "2", "same"}
        manifest = http.get("/team/pushed/manifests/2", headers={"Accept": OCI})
        assert manifest.headers["Docker-Content-Digest"] == second.stdout.strip()
        for layer in manifest.json()["layers"]:
            content = http.get(f"/team/pushed/blobs/{layer['digest']}").content
            assert f"sha256:{hashlib.sha256(content).hexdigest()}" == layer["digest"]


def test_layers_are_taken_over_from_another_repository(service: Service, registry: DockerRegistry) -> None:
    service.completed(SPECIFICATION.format("mounted", "one, two, three"))
    assert moved(pushed(service, registry, "default/mounted", f"{registry.host}/team/first:1")) == (6, 6)
    target = f"{registry.host}/team/second:1"
    assert moved(pushed(service, registry, "default/mounted", target, "--mount-from", "team/first")) == (0, 6)
    with registry.http as http:
        manifest = http.get("/team/second/manifests/1", headers={"Accept": OCI}).json()
        assert all(http.head(f"/team/second/blobs/{layer['digest']}").is_success for layer in manifest["layers"])


def test_a_login_that_docker_keeps(service: Service, registry: DockerRegistry) -> None:
    service.completed(SPECIFICATION.format("kept", "one"))
    command = [PROGRAM, "image", "push", "default/kept", f"{registry.host}/team/kept:1"]
    variables = {**service.environment, "CONDA_STORE_URL": str(service.http.base_url).rstrip("/")}
    done = subprocess.run(
        command, env={**variables, "REGISTRY_AUTH_FILE": str(registry.logins)}, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert moved(done) == (4, 4)


@pytest.mark.parametrize(
    ("arguments", "password", "said", "hint"),
    [
        (["default/nowhere", "{host}/team/x:1"], PASSWORD, "answers 404 for manifests/latest of default/nowhere "
         "(repository name not known to registry: there is no environment default/nowhere", "Is the name right?"),
        (["default/refused:none", "{host}/team/x:1"], PASSWORD, "refused has no tag none", "Is the name right?"),
        (["default/refused", "{host}/team/x:1"], "wrong secret", "answers 401", "Is the login for this registry right"),
        (["default/refused", "{host}/TEAM/x:1"], PASSWORD, "names no image", "registry.example/team/name:tag"),
        (["default/refused", "localhost:1/team/x:1"], PASSWORD, "localhost:1 cannot be asked for blobs/sha256:",
         "Does a registry answer at http://localhost:1"),
        (["default/refused", "{conda_store}/team/x:1"], "token", "answers 405", "Nothing can be pushed"),
        (["default/refused", "127.1:{port}/team/x:1"], PASSWORD, "127.1:", "asked by TLS"),
    ],
)  # fmt: skip
def test_a_push_that_cannot_be(
    service: Service, registry: DockerRegistry, arguments: list[str], password: str, said: str, hint: str
) -> None:
    """It says what failed, on what, and what to do next."""
    if "refused" in arguments[0]:
        service.completed(SPECIFICATION.format("refused", "one"))
    url = service.http.base_url
    known = {"host": registry.host, "conda_store": f"localhost:{url.port}", "port": url.port}
    filled = [argument.format(**known) for argument in arguments]
    password = (service.data / "admin-token").read_text() if password == "token" else password
    done = service.command("image", "push", *filled, "-u", USER, "--password-stdin", input=f"{password}\n")
    assert done.returncode == 1
    assert said in done.stderr
    assert hint in done.stderr
    assert password not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("default/nowhere", "answers 404 for manifests/latest of default/nowhere", "Is the name right?"),
        ("conda-store-dynamic/no-such-package", "no-such-package", "Is the name right?"),
    ],
)
def test_an_image_that_cannot_be_saved(service: Service, tmp_path: Path, name: str, said: str, hint: str) -> None:
    done = service.command("image", "save", name, "-o", str(tmp_path / "layout"))
    assert done.returncode == 1
    assert said in done.stderr
    assert hint in done.stderr
    assert not (tmp_path / "layout").exists()
    (tmp_path / "file").touch()
    into_a_file = service.command("image", "save", name, "-o", str(tmp_path / "file"))
    assert into_a_file.returncode == 2
    assert "is a file" in into_a_file.stderr


def test_a_build_is_pushed_by_the_worker(service: Service, registry: DockerRegistry) -> None:
    created = service.http.post(f"{API}/namespace/ship/")
    assert created.status_code == httpx.codes.OK, created.text
    values = {"build_artifacts": ["LOCKFILE", "CONTAINER_REGISTRY"]}
    assert service.http.put(f"{API}/setting/ship/", json=values).status_code == httpx.codes.OK

    def shipped(name: str, packages: str) -> str:
        build_id = service.completed(SPECIFICATION.format(name, packages), namespace="ship")
        state = "SELECT state, key, message FROM build_artifact WHERE build_id = ? AND artifact_type = ?"

        def look() -> str | None:
            found, key, message = service.row(state, build_id, "CONTAINER_REGISTRY")
            assert found != "FAILED", message
            return str(key) if found == "READY" else None

        return wait_for("the image is pushed", look)

    key = shipped("sail", "one, two")
    repository, _, tag = key.removeprefix(f"{registry.host}/").rpartition(":")
    assert repository == "envs/ship-sail"
    with registry.http as http:
        pushed_digest = http.head(f"/{repository}/manifests/{tag}", headers={"Accept": OCI})
        assert pushed_digest.headers["Docker-Content-Digest"] == digest_at(service, "ship/sail")
    mounts = registry.requests("mount=")
    uploads = registry.requests("http.request.method=PUT")
    shipped("boat", "one, two, three")
    assert registry.requests("mount=") > mounts
    # `three`, the environment's own, the configuration, the manifest: each is told of at most twice
    assert registry.requests("http.request.method=PUT") - uploads <= 2 * 4


def test_no_secret_is_told(service: Service, registry: DockerRegistry) -> None:
    for file, content in files_below(service.directory):
        assert PASSWORD.encode() not in content, file
