"""Images for several processors; many clients at once; a server that is killed while it serves."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.clients import LIMIT, docker_daemon, told
from tests.acceptance.service import Service, serving
from tests.acceptance.test_registry import copied, host
from tools.channel.tiny import File, index, write_package

pytestmark = [pytest.mark.acceptance, pytest.mark.channel]

OCI = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
PACKAGES = 130
LAYERS = 125  # the most that Docker takes, and the option
PULLED = 100  # packages, by so many clients
CLIENTS = 16
ELF_MACHINES = {"amd64": 62, "arm64": 183}  # e_machine: x86-64, AArch64


@pytest.fixture(scope="module")
def service(real_channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Without anything below its environments, for two platforms, over real packages and many small ones."""
    many = tmp_path_factory.mktemp("many")
    for number in range(PACKAGES):
        write_package(many, f"many-{number}", "1.0", files={f"share/many/{number}": f"{number}\n" * 1000})
    large = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(2_000_000))
    write_package(many, "large", "1.0", files={"share/large": File(large)})
    for subdir, machine in (("linux-64", ELF_MACHINES["amd64"]), ("linux-aarch64", ELF_MACHINES["arm64"])):
        head = b"\x7fELF".ljust(18, b"\0") + machine.to_bytes(2, "little")
        write_package(many, "native", "1.0", subdir=subdir, files={"lib/native.so": head})
    index(many)
    options = {
        "conda_default_channels": [real_channel.as_uri(), many.as_uri()],
        "default_docker_base_image": "scratch",
        "conda_solve_platforms": ["linux-64", "linux-aarch64"],
        "image_layer_budget": LAYERS,
    }
    with serving(tmp_path_factory.mktemp("s"), **options) as service:
        yield service


def elf_machine(library: Path) -> int:
    """The processor for which a library is."""
    return int.from_bytes(library.read_bytes()[18:20], "little")


def test_an_image_for_each_processor(service: Service, tmp_path: Path) -> None:
    service.completed("name: portable\ndependencies: [python=3.13, numpy, odd-python, native]\n")
    listed = json.loads(
        told("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{host(service)}/default/portable")
    )
    assert [item["platform"]["architecture"] for item in listed["manifests"]] == ["amd64", "arm64"]
    layers: dict[str, set[str]] = {}
    files: dict[str, set[str]] = {}
    for architecture, machine in ELF_MACHINES.items():
        target = tmp_path / architecture
        target.mkdir()
        done = copied(service, "default/portable", target / "image", f"--override-arch={architecture}")
        assert done.returncode == 0, done.stderr
        config = json.loads(told("skopeo", "inspect", "--config", "--raw", f"oci:{target}/image:pulled"))
        assert config["architecture"] == architecture
        layers[architecture] = set(config["rootfs"]["diff_ids"])
        told("umoci", "unpack", "--image", f"{target}/image:pulled", target / "bundle")
        prefix = target / "bundle/rootfs/opt/conda"
        assert elf_machine(prefix / "lib/native.so") == machine
        assert (prefix / "bin/odd-python").read_bytes().startswith(b"#!/opt/conda/bin/python3.13")
        assert (prefix / "conda-meta/history").exists()
        files[architecture] = {path.name for path in (prefix / "conda-meta").iterdir()}
    # what is made for any processor is the same layer in both
    assert layers["amd64"] & layers["arm64"]
    assert len(files["amd64"]) > 3
    assert {name.split("-")[0] for name in files["arm64"]} <= {name.split("-")[0] for name in files["amd64"]}


def test_packages_by_name_for_another_processor(service: Service, tmp_path: Path) -> None:
    name = "conda-store-dynamic/linux-aarch64/native.ge.1/many-1"
    done = copied(service, name, tmp_path / "image", "--override-arch=arm64")
    assert done.returncode == 0, done.stderr
    told("umoci", "unpack", "--image", f"{tmp_path}/image:pulled", tmp_path / "bundle")
    prefix = tmp_path / "bundle/rootfs/opt/conda"
    assert elf_machine(prefix / "lib/native.so") == ELF_MACHINES["arm64"]
    assert not service.link("linux-aarch64-native.ge.1-many-1", "conda-store-dynamic").exists()


def test_many_clients_pull_many_layers_at_once(service: Service, tmp_path: Path) -> None:
    names = ", ".join(f"many-{number}" for number in range(PULLED))
    service.completed(f"name: many\ndependencies: [{names}]\n")
    source = f"docker://{host(service)}/default/many:latest"
    running = [
        subprocess.Popen(
            ["skopeo", "copy", "-q", "--src-tls-verify=false", source, f"dir:{tmp_path}/{number}"],
            stderr=subprocess.PIPE,
        )
        for number in range(CLIENTS)
    ]
    for client in running:
        _, errors = client.communicate(timeout=LIMIT)
        assert client.returncode == 0, errors
    manifests = {(tmp_path / str(number) / "manifest.json").read_bytes() for number in range(CLIENTS)}
    assert len(manifests) == 1
    layers = json.loads(manifests.pop())["layers"]
    assert len(layers) == PULLED + 1
    for number in range(CLIENTS):
        for layer in layers:
            content = (tmp_path / str(number) / layer["digest"][7:]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == layer["digest"][7:]


def test_docker_takes_as_many_layers_as_there_may_be(
    service: Service, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = ", ".join(f"many-{number}" for number in range(PACKAGES))
    service.completed(f"name: most\ndependencies: [{names}]\n")
    image = f"{host(service)}/default/most"
    with docker_daemon(tmp_path_factory.mktemp("d")) as address:  # a short path, for its sockets
        told("docker", "pull", image, DOCKER_HOST=address)
        layers = told("docker", "image", "inspect", "--format={{len .RootFS.Layers}}", image, DOCKER_HOST=address)
        assert layers == str(LAYERS)
        # nothing is run: there is nothing below. That it can be laid out is what has a limit
        container = told("docker", "create", "--network=none", image, "none", DOCKER_HOST=address)
        told(
            "docker", "cp", f"{container}:/opt/conda/share/many", tmp_path_factory.mktemp("copied"), DOCKER_HOST=address
        )


def test_a_pull_goes_on_after_the_server_was_killed(service: Service) -> None:
    service.completed("name: large\ndependencies: [large]\n")
    manifest = service.http.get("/v2/default/large/manifests/latest", headers=OCI)
    layer = max(manifest.json()["layers"], key=lambda item: int(item["size"]))
    path = f"/v2/default/large/blobs/{layer['digest']}"
    assert layer["size"] > 40_000_000  # more than is on its way between the two
    received = b""
    with service.http.stream("GET", path) as answer:
        pieces = answer.iter_bytes(1 << 16)
        received += next(pieces)
        service.kill()
        try:
            for piece in pieces:
                received += piece
        except httpx.TransportError:
            pass
    assert 0 < len(received) < layer["size"]
    service.start()
    again = service.http.get("/v2/default/large/manifests/latest", headers=OCI)
    assert again.content == manifest.content
    headers = {"Range": f"bytes={len(received)}-", "If-Range": f'"{layer["digest"]}"'}
    rest = service.http.get(path, headers=headers)
    assert rest.status_code == httpx.codes.PARTIAL_CONTENT
    assert f"sha256:{hashlib.sha256(received + rest.content).hexdigest()}" == layer["digest"]
