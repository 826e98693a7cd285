"""What nobody should send to a registry, and what is answered to it."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator

import httpx
import pytest

from conda_store.artifacts.oci.documents import INDEX_TYPES, ManifestForm
from tests.http.service import Service
from tests.waiting import PATIENCE

ACCEPT = {"Accept": ManifestForm.OCI.value}
CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(200))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("abuse"), packing_wait=0.05) as service:
        service.build("default", "open", "python=3.12", "zlib")
        service.build("team", "closed", "zlib")
        for name in ("default/open", "team/closed"):
            httpx.get(
                f"http://127.0.0.1:{service.port}/v2/{name}/manifests/latest", auth=("x", "admin"), timeout=PATIENCE
            )
        assert service.pack() == 2
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v2", timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
def layer(service: Service) -> tuple[str, bytes]:
    base = f"http://127.0.0.1:{service.port}/v2/default/open"
    digest = httpx.get(f"{base}/manifests/latest", headers=ACCEPT, timeout=PATIENCE).json()["layers"][0]["digest"]
    return digest, httpx.get(f"{base}/blobs/{digest}", timeout=PATIENCE).content


def answered(service: Service, request: bytes, seconds: float = PATIENCE) -> bytes:
    """Everything that comes back on a connection until the server closes it, or nothing more comes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=seconds) as connection:
        received = b""
        try:
            connection.sendall(request)
            while part := connection.recv(1 << 16):
                received += part
        except (ConnectionError, TimeoutError):
            pass
        return received


@pytest.mark.parametrize(
    "request_bytes",
    [
        CLIENT_HELLO,
        b"\0" * 100,
        b"GET /v2/ HTTP/1.1\r\n\r\n",  # HTTP/1.1 wants a host
        b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * (1 << 20) + b"\r\n\r\n",
        b"GET /v2/" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=["tls", "zeros", "no-host", "long-header", "long-path", "many-headers", "negative-length"],
)
def test_bytes_that_are_no_request(service: Service, request_bytes: bytes) -> None:
    # of some the server waits for the rest
    received = answered(service, request_bytes, 5)
    assert received == b"" or received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert b"Traceback" not in received
    # and the next one is answered
    assert httpx.get(f"http://127.0.0.1:{service.port}/v2/", timeout=PATIENCE).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/v2/default/open/blobs/../../../../etc/passwd",
        "/v2/default/open/blobs/..%2f..%2f..%2fetc%2fpasswd",
        "/v2/default/open/manifests/..%2f..%2fteam%2fclosed",
        "/v2/default/open/../../team/closed/manifests/latest",
        "/v2/default/..%2fteam/closed/manifests/latest",
        "/v2//etc/passwd/blobs/sha256:" + "0" * 64,
        "/v2/default/open/blobs/sha256:%00" + "0" * 63,
        "/v2/default/open%00/manifests/latest",
        "/v2/" + "a/" * 2000 + "manifests/latest",
        "/v2/default/" + "n" * 5000 + "/manifests/latest",
        "/v2/default/open/manifests/" + "t" * 5000,
        "/v2/conda-store-dynamic/" + "x" * 5000 + "/manifests/latest",
        "/v2/conda-store-dynamic/../team/closed/manifests/latest",
        "/v2/conda-store-dynamic/%5b%5d%5b/manifests/latest",
        "/v2/conda-store-dynamic/numpy%20%5Bmd5=1%5D/manifests/latest",
        "/v2/default/%ff%fe/manifests/latest",
        "/v2/default/open/tags/list?n=99999999999999999999999",
        "/v2/default/open/tags/list?last=%00",
    ],
)
def test_paths_that_lead_nowhere(service: Service, path: str) -> None:
    for token in (b"", b"Authorization: Bearer stranger\r\n"):
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + token + b"Connection: close\r\n\r\n"
        received = answered(service, request)
        status = int(received.split(b" ", 2)[1])
        assert status in {400, 401, 403, 404, 405}, received[:300]
        assert b"root:" not in received
        assert b"Traceback" not in received


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ("bytes=0-0", 206),
        ("bytes=-1", 206),
        ("bytes=10-99999999", 206),
        ("bytes=-99999999", 206),
        ("bytes=-0", 416),
        ("bytes=-", 416),
        ("bytes=9-5", 416),
        ("bytes=99999999-", 416),
        # what is not understood is as if it were not there (RFC 9110, 14.2)
        ("bytes=0-1,5-6", 200),
        ("bytes=a-b", 200),
        ("bytes=99999999999999999999-", 200),
        ("items=0-1", 200),
        ("bytes", 200),
        ("", 200),
    ],
)
def test_ranges(client: httpx.Client, layer: tuple[str, bytes], wanted: str, status: int) -> None:
    digest, content = layer
    response = client.get(f"/default/open/blobs/{digest}", headers={"Range": wanted})
    assert response.status_code == status
    if status == 200:
        assert f"sha256:{hashlib.sha256(response.content).hexdigest()}" == digest
    elif status == 206:
        start, end = map(int, response.headers["Content-Range"].split()[1].split("/")[0].split("-"))
        assert response.content == content[start : end + 1]
    else:
        assert response.headers["Content-Range"] == f"bytes */{len(content)}"


@pytest.mark.parametrize(
    "accept", ["", "text/html", "*/*;q=0", "a" * 8000, ",,,;;;", "application/vnd.oci.image.index"]
)
def test_what_clients_say_they_take(client: httpx.Client, accept: str) -> None:
    response = client.get("/default/open/manifests/latest", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.json()["mediaType"] == ManifestForm.DOCKER.value


OCI, DOCKER = ManifestForm.OCI.value, ManifestForm.DOCKER.value


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (f"{DOCKER}, {OCI}", OCI),
        (f"{DOCKER};q=0.5, {OCI};q=0.5", OCI),
        (f"{DOCKER}, {OCI};q=0.5", DOCKER),
        (f"{OCI};q=0", DOCKER),
        (f"{OCI}; q=0.000, {DOCKER};q=0.1", DOCKER),
        (f"{DOCKER};q=0, {OCI};q=0.001", OCI),
        (f"{OCI};q=\N{SUPERSCRIPT TWO}", OCI),
        (OCI.upper(), OCI),
        (INDEX_TYPES[ManifestForm.OCI], OCI),
        (f"{INDEX_TYPES[ManifestForm.OCI]}, {DOCKER}", DOCKER),
        (INDEX_TYPES[ManifestForm.DOCKER], DOCKER),
    ],
)
def test_what_clients_like_better(client: httpx.Client, accept: str, form: str) -> None:
    response = client.get("/default/open/manifests/latest", headers=[(b"Accept", accept.encode())])
    assert response.status_code == 200
    assert response.json()["mediaType"] == form


def test_what_clients_say_they_have(client: httpx.Client) -> None:
    path = "/default/open/manifests/latest"
    tag = client.get(path).headers["ETag"]
    for header, status in ((tag, 304), (f"W/{tag}", 304), (f'"other", {tag}', 304), ("*", 304), ('"other"', 200)):
        assert client.get(path, headers={"If-None-Match": header}).status_code == status, header


@pytest.mark.parametrize(
    "authorization",
    ["Basic", "Basic !!!", "Basic OnZpZXdlcg", "Bearer", "Bearer x y", "Digest x", "a" * 8000, "Basic " + "A" * 8000],
)
def test_logins_that_are_none(client: httpx.Client, authorization: str) -> None:
    headers = {"Authorization": authorization}
    assert client.get("/team/closed/manifests/latest", headers=headers).status_code in {400, 401}
    token = client.get(client.base_url.copy_with(path="/token"), headers=headers)
    assert token.status_code in {400, 401}
    assert "viewer" not in token.text


def test_a_blob_of_another_environment_is_not_reached(client: httpx.Client) -> None:
    private = client.get("/team/closed/manifests/latest", headers=ACCEPT, auth=("x", "admin"))
    own = private.json()["config"]["digest"]
    for name in ("default/open", "default/none", "conda-store-dynamic/zlib"):
        assert client.get(f"/{name}/blobs/{own}").status_code in {401, 404}
        assert client.get(f"/{name}/manifests/{private.headers['Docker-Content-Digest']}").status_code in {401, 404}
