"""Blobs of images: from where they come, and clients that go away before they have them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from obstore.store import MemoryStore, S3Store

from conda_store.artifacts.oci.documents import ManifestForm
from conda_store.domain.artifact import layer_blob_key
from conda_store.services.housekeeping import clear
from conda_store.services.image_making import sweep
from conda_store.services.images import request_image
from conda_store.storage import BlobStore
from tests.http.service import Service
from tests.waiting import PATIENCE, wait_for

ACCEPT = {"Accept": ManifestForm.OCI.value}
LARGE = 50 << 20


def packed(service: Service, name: str, *packages: str) -> list[dict[str, str]]:
    """The layers of an environment's image."""
    service.build("default", name, *packages)
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v2/default/{name}", timeout=PATIENCE) as client:
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
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v2/default", timeout=PATIENCE) as client:
            for method in ("GET", "HEAD"):
                answer = client.request(method, f"/signed/blobs/{layer['digest']}")
                assert answer.status_code == 307
                assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
                place = httpx.URL(answer.headers["Location"])
                assert (place.host, place.path.rpartition("/")[2]) == ("objects.example", layer["digest"][7:])
                assert "X-Amz-Signature" in place.params
            unknown = client.get("/signed/blobs/sha256:" + "0" * 64)
            assert unknown.status_code == 404


def test_a_server_in_front_sends_layers(tmp_path: Path) -> None:
    with Service(tmp_path, accel_redirect="/kept/", packing_wait=0.05) as service:
        digest = packed(service, "handed", "zlib")[0]["digest"]
        answer = httpx.get(f"http://127.0.0.1:{service.port}/v2/default/handed/blobs/{digest}", timeout=PATIENCE)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["X-Accel-Redirect"] == f"/kept/{layer_blob_key(digest[7:])}"
        assert answer.headers["Docker-Content-Digest"] == digest
        unknown = httpx.get(
            f"http://127.0.0.1:{service.port}/v2/default/handed/blobs/sha256:{'0' * 64}", timeout=PATIENCE
        )
        assert (unknown.status_code, "X-Accel-Redirect" in unknown.headers) == (404, False)


def test_without_the_registry_there_is_none(tmp_path: Path) -> None:
    with Service(tmp_path, enable_registry=False) as service:
        service.build("default", "open", "zlib")
        for path in ("/v2/", "/v2/default/open/manifests/latest"):
            assert httpx.get(f"http://127.0.0.1:{service.port}{path}", timeout=PATIENCE).status_code == 404


def open_sockets() -> int:
    found = [os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()]
    return sum("socket:" in entry for entry in found)


def leave(service: Service, path: str, *, once: Callable[[], bool] = lambda: True, answered: bool = False) -> None:
    """Thirty clients ask, and break off `once` that holds, or in the middle of the answer."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with ExitStack() as clients:
        for _ in range(30):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.sendall(request)
            if answered:
                assert client.recv(10)
        wait_for("the clients may go", once)


def is_idle(service: Service, before: int) -> Callable[[], bool]:
    """Nothing of thirty clients is left; a few of the sockets may be others' of this process."""
    return lambda: service.waiting_requests() == 0 and open_sockets() <= before + 5


def test_clients_that_go_away_in_the_middle_of_a_blob(tmp_path: Path) -> None:
    with Service(tmp_path) as service, service.client() as client:
        request_image(service.context, service.build("default", "large", "zlib"), [ManifestForm.OCI.value])
        assert service.pack() == 1
        layer = client.get("/v2/default/large/manifests/latest", headers=ACCEPT).json()["layers"][0]
        kept = service.context.blobs.local_path(layer_blob_key(layer["digest"][7:]))
        assert kept is not None
        kept.write_bytes(bytes(LARGE))  # more than is on its way between the two
        path = f"/v2/default/large/blobs/{layer['digest']}"
        before = open_sockets()
        leave(service, path, answered=True)
        wait_for("nothing of them is left", is_idle(service, before))
        assert len(client.get(path).content) == LARGE


@pytest.mark.parametrize("what", ["build/1", "environment/team/large", "namespace/team"])
def test_who_has_begun_gets_the_whole_of_a_blob_that_is_deleted_meanwhile(tmp_path: Path, what: str) -> None:
    with Service(tmp_path) as service, service.client("admin") as client:
        assert service.build("team", "large", "zlib") == 1
        request_image(service.context, 1, [ManifestForm.OCI.value])
        assert service.pack() == 1
        layer = client.get("/v2/team/large/manifests/latest", headers=ACCEPT).json()["layers"][0]
        kept = service.context.blobs.local_path(layer_blob_key(layer["digest"][7:]))
        assert kept is not None
        content = os.urandom(1 << 20) * 50  # more than is on its way between the two
        kept.write_bytes(content)
        path = f"/v2/team/large/blobs/{layer['digest']}"
        at_once = replace(service.context.deployment, unused_layers_are_kept=timedelta(0))
        with client.stream("GET", path) as answer:
            pieces = answer.iter_raw()
            received = [next(pieces)]
            assert client.delete(f"/api/v1/{what}/").status_code == 200
            asyncio.run(clear(service.context))
            assert sweep(replace(service.context, deployment=at_once)) > 0
            assert not kept.exists()
            # nobody who asks now gets it
            assert client.get(path).json()["errors"][0]["code"] in {"BLOB_UNKNOWN", "NAME_UNKNOWN"}
            assert client.get("/v2/team/large/manifests/latest").status_code == 404
            received += pieces
        assert b"".join(received) == content


@pytest.mark.parametrize("path", ["/v2/default/slow/manifests/latest", "/api/v1/build/1/archive/"])
def test_clients_that_go_away_while_they_wait(tmp_path: Path, path: str) -> None:
    """The server stops working for them; what they asked for is made for all that."""
    with Service(tmp_path) as service, service.client() as client:
        assert service.build("default", "slow", "zlib") == 1
        before = open_sockets()
        leave(service, path, once=lambda: service.waiting_requests() == 30)
        wait_for("nothing of them is left", is_idle(service, before))
        assert service.pack() == 1
        assert client.get(path, headers=ACCEPT).status_code in {200, 307}


def test_who_waits_is_answered_when_the_server_ends(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as threads:
        with Service(tmp_path) as service:
            service.build("default", "slow", "zlib")
            queued = service.submit("default", "queued", "zlib")
            ask = partial(httpx.get, timeout=PATIENCE)
            image = threads.submit(ask, f"http://127.0.0.1:{service.port}/v2/default/slow/manifests/latest")
            events = threads.submit(ask, f"http://127.0.0.1:{service.port}/api/v1/build/{queued}/events/")
            wait_for("both wait", lambda: service.waiting_requests() == 2)
        assert image.result().status_code == 503
        assert int(image.result().headers["Retry-After"]) > 0
        # how the build ends is another server's to tell
        assert events.result().status_code == 200
        assert "event: end" not in events.result().text


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (("PUT", "/api/v1/build/1/cancel/"), "is CANCELED"),
        (("DELETE", "/api/v1/environment/conda-store-dynamic/one-two/"), "the build has been deleted"),
        (("DELETE", "/api/v1/namespace/conda-store-dynamic/"), "the build has been deleted"),
    ],
)
def test_who_waits_for_a_build_that_is_given_up_is_told(tmp_path: Path, end: tuple[str, str], reason: str) -> None:
    """And who asks again has it built again, once for all."""
    with Service(tmp_path) as service, service.client("admin") as admin, ThreadPoolExecutor() as threads:
        name = f"http://127.0.0.1:{service.port}/v2/conda-store-dynamic/one/two/manifests/latest"
        ask = partial(httpx.get, name, headers={**ACCEPT, "Authorization": "Bearer admin"}, timeout=PATIENCE)
        asked = [threads.submit(ask) for _ in range(4)]
        wait_for("all wait", lambda: service.waiting_for_making() == 4 and service.build_ids() == [1])
        assert admin.request(*end).status_code == 200
        for answer in asked:
            error = answer.result().json()["errors"][0]
            assert (answer.result().status_code, error["code"]) == (404, "MANIFEST_UNKNOWN")
            assert reason in error["message"]
        again = [threads.submit(ask) for _ in range(4)]
        wait_for("all wait again", lambda: service.waiting_for_making() == 4 and service.build_ids() == [1, 2])
        assert service.work() == 2
        wait_for("the image is asked for", lambda: service.pack() == 1)
        assert {answer.result().status_code for answer in again} == {200}
