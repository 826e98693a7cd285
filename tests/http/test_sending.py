"""Files sent by the kernel: whole, in part, one after the other on a connection, to clients that go away."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from conda_store.db import builds
from conda_store.domain.artifact import ArtifactType, blob_key
from tests.http.service import Service
from tests.waiting import PATIENCE

SIZE = 20 << 20  # more than any buffer on the way holds


def archive_of(service: Service, build_id: int) -> str:
    """The key of a build's archive."""
    with service.context.database.read() as connection:
        build = builds.get(connection, build_id)
    assert build is not None
    return blob_key(ArtifactType.CONDA_PACK, build.key)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str, bytes]]:
    with Service(tmp_path_factory.mktemp("sending")) as service:
        build_id = service.build("default", "large", "zlib")
        content = bytes(range(256)) * (SIZE // 256)
        blob = archive_of(service, build_id)
        service.context.blobs.put(blob, content)
        yield service, f"/storage/{blob}", content


def connection_to(service: Service) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE)


def test_several_answers_on_one_connection(served: tuple[Service, str, bytes]) -> None:
    service, path, content = served
    connection = connection_to(service)
    for first, last in ((0, SIZE - 1), (5, 5), (SIZE - 100, SIZE - 1), (1 << 20, 19 << 20)):
        connection.request("GET", path, headers={"Range": f"bytes={first}-{last}"})
        answer = connection.getresponse()
        assert answer.status == 206
        assert answer.read() == content[first : last + 1]
        connection.request("HEAD", path)
        head = connection.getresponse()
        assert (head.status, int(head.headers["Content-Length"]), head.read()) == (200, SIZE, b"")
    connection.request("GET", path, headers={"Connection": "close"})
    assert connection.getresponse().read() == content


def test_clients_that_go_away_or_stand_still_keep_nobody_waiting(served: tuple[Service, str, bytes]) -> None:
    service, path, content = served
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    still = [socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE) for _ in range(20)]
    for number, one in enumerate(still):
        one.sendall(request)
        if number % 2:
            one.recv(1000)
            one.close()
    assert httpx.get(f"http://127.0.0.1:{service.port}{path}", timeout=PATIENCE).content == content
    assert httpx.get(f"http://127.0.0.1:{service.port}/api/v1/", timeout=PATIENCE).status_code == 200
    for one in still:
        one.close()


def test_a_server_in_front_is_told_where_the_file_is(tmp_path: Path) -> None:
    with Service(tmp_path, accel_redirect="/kept/") as service:
        build_id = service.build("default", "handed", "zlib")
        blob = archive_of(service, build_id)
        service.context.blobs.put(blob, b"archive")
        with service.client("admin") as client:
            answer = client.get(f"/storage/{blob}", headers={"Range": "bytes=0-1"})
            assert (answer.status_code, answer.content) == (200, b"")
            assert answer.headers["X-Accel-Redirect"] == f"/kept/{blob}"
            assert answer.headers["Content-Type"] == "application/gzip"
            assert int(client.head(f"/storage/{blob}").headers["Content-Length"]) == 7
            assert "X-Accel-Redirect" not in client.get("/storage/archive/none.tar.gz").headers


def test_a_file_that_is_shorter_than_it_was_ends_the_connection(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        build_id = service.build("default", "shrinking", "zlib")
        blob = archive_of(service, build_id)
        service.context.blobs.put(blob, bytes(SIZE))
        file = service.context.blobs.local_path(blob)
        assert file is not None
        with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE) as slow:
            slow.sendall(f"GET /storage/{blob} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            received = len(slow.recv(1 << 16))
            with file.open("r+b") as shrunk:
                shrunk.truncate(1 << 20)
            try:
                while part := slow.recv(1 << 20):
                    received += len(part)
            except ConnectionResetError:
                pass
            assert received < SIZE
