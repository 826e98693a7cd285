"""Blobs of images: from where they come, and clients that go away before they have them."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import httpx
import pytest
from obstore.store import MemoryStore, S3Store

from conda_store.artifacts.oci.documents import ManifestForm
from conda_store.domain.artifact import layer_blob_key
from conda_store.services.images import request_image
from conda_store.storage import BlobStore
from tests.http.service import Service

ACCEPT = {"Accept": ManifestForm.OCI.value}
LARGE = 50 << 20


def packed(service: Service, name: str, *packages: str) -> list[dict[str, str]]:
    """The layers of an environment's image."""
    service.build("default", name, *packages)
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v2/default/{name}", timeout=20) as client:
        assert client.get("/manifests/latest", headers=ACCEPT).status_code == 503
        assert service.pack() == 1
        layers: list[dict[str, str]] = client.get("/manifests/latest", headers=ACCEPT).json()["layers"]
    return layers


def test_where_the_storage_signs_urls_the_client_is_sent_there(tmp_path: Path) -> None:
    signer = S3Store(
        "images",
        endpoint="https://objects.example",
        region="here",
        access_key_id="id",
        secret_access_key="secret",
        virtual_hosted_style_request=False,
    )
    blobs = BlobStore(MemoryStore(), signer=signer)
    with Service(tmp_path, blobs=blobs, packing_wait=0.05) as service:
        layer = packed(service, "signed", "zlib")[0]
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v2/default", timeout=20) as client:
            for method in ("GET", "HEAD"):
                answer = client.request(method, f"/signed/blobs/{layer['digest']}")
                assert answer.status_code == 307
                assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
                place = httpx.URL(answer.headers["Location"])
                assert (place.host, place.path.rpartition("/")[2]) == ("objects.example", layer["digest"][7:])
                assert "X-Amz-Signature" in place.params
            unknown = client.get("/signed/blobs/sha256:" + "0" * 64)
            assert unknown.status_code == 404


def test_without_the_registry_there_is_none(tmp_path: Path) -> None:
    with Service(tmp_path, enable_registry=False) as service:
        service.build("default", "open", "zlib")
        for path in ("/v2/", "/v2/default/open/manifests/latest"):
            assert httpx.get(f"http://127.0.0.1:{service.port}{path}").status_code == 404


def open_sockets() -> int:
    found = [os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()]
    return sum("socket:" in entry for entry in found)


@pytest.mark.parametrize("path", ["/v2/default/large/blobs/{digest}", "/v2/default/slow/manifests/latest"])
def test_clients_that_go_away(tmp_path: Path, path: str) -> None:
    """In the middle of a blob, and while they wait for a manifest: nothing of them stays."""
    with Service(tmp_path, packing_wait=5) as service:
        large = service.build("default", "large", "zlib")
        service.build("default", "slow", "zlib")
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v2/default", timeout=20) as client:
            request_image(service.context, large, [ManifestForm.OCI.value])
            assert service.pack() == 1
            layer = client.get("/large/manifests/latest", headers=ACCEPT).json()["layers"][0]
            kept = service.context.blobs.local_path(layer_blob_key(layer["digest"][7:]))
            assert kept is not None
            kept.write_bytes(bytes(LARGE))  # more than is on its way between the two
            before = open_sockets()
            request = f"GET {path.format(digest=layer['digest'])} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            for _ in range(30):
                with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    connection.sendall(request)
                    if "blobs" in path:
                        assert connection.recv(10)
            deadline = time.monotonic() + 60  # thirty ask for the image at once, and then wait for five seconds
            # thirty would be left; a few may be others' of this process
            while open_sockets() > before + 5 and time.monotonic() < deadline:
                time.sleep(0.1)
            assert open_sockets() <= before + 5
            assert len(client.get(f"/large/blobs/{layer['digest']}").content) == LARGE
