"""The channel server: plain answers, conditional and range requests, faults."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.waiting import PATIENCE, wait_for
from tools.channel.serve import ChannelServer, Fault
from tools.channel.tiny import index, write_package

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ChannelServer]:
    (tmp_path / "www").mkdir()
    (tmp_path / "www/data.bin").write_bytes(CONTENT)
    (tmp_path / "secret").write_text("outside")
    with ChannelServer(tmp_path / "www") as running:
        yield running


def get(url: str, method: str = "GET", timeout: float = PATIENCE, **headers: str) -> tuple[int, dict[str, str], bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, headers=named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def test_serves_and_counts(server: ChannelServer) -> None:
    status, headers, body = get(f"{server.url}/data.bin")
    assert (status, body) == (200, CONTENT)
    assert headers["Content-Length"] == str(len(CONTENT))
    assert get(f"{server.url}/data.bin", "HEAD")[2] == b""
    assert get(f"{server.url}/none")[0] == 404
    assert [(r.method, r.path, r.status) for r in server.requests] == [
        ("GET", "/data.bin", 200),
        ("HEAD", "/data.bin", 200),
        ("GET", "/none", 404),
    ]
    assert server.count("*.bin") == 2


@pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "//etc/passwd"])
def test_stays_inside_its_directory(server: ChannelServer, path: str) -> None:
    assert get(server.url + path)[0] == 404


def test_listens_on_loopback_only(server: ChannelServer) -> None:
    assert server.url.startswith("http://127.0.0.1:")


def test_etag_is_confirmed_and_changes_with_the_content(server: ChannelServer) -> None:
    etag = get(f"{server.url}/data.bin")[1]["ETag"]
    status, headers, body = get(f"{server.url}/data.bin", If_None_Match=f'"other", W/{etag}')
    assert (status, headers["ETag"], body) == (304, etag, b"")
    (server.directory / "data.bin").write_bytes(b"new")
    status, headers, body = get(f"{server.url}/data.bin", If_None_Match=etag)
    assert (status, body) == (200, b"new") and headers["ETag"] != etag


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-3", 206, CONTENT[:4]),
        ("bytes=10000-", 206, CONTENT[10000:]),
        ("bytes=-5", 206, CONTENT[-5:]),
        ("bytes=5-99999", 206, CONTENT[5:]),
        ("bytes=0-1,5-6", 200, CONTENT),
        ("bytes=99999-", 416, b"416\n"),
    ],
)
def test_ranges(server: ChannelServer, asked: str, status: int, body: bytes) -> None:
    assert get(f"{server.url}/data.bin", Range=asked)[::2] == (status, body)


def test_a_range_of_a_changed_file_is_the_whole_file(server: ChannelServer) -> None:
    assert get(f"{server.url}/data.bin", Range="bytes=0-3", If_Range='"old"')[::2] == (200, CONTENT)


def test_status_fault_ends_after_its_times(server: ChannelServer) -> None:
    server.faults["*.bin"] = Fault(status=503, times=2)
    assert [get(f"{server.url}/data.bin")[0] for _ in range(3)] == [503, 503, 200]


def test_body_and_corrupt_faults(server: ChannelServer) -> None:
    server.faults["/data.bin"] = Fault(corrupt=-1)
    body = get(f"{server.url}/data.bin")[2]
    assert body[:-1] == CONTENT[:-1] and body[-1] != CONTENT[-1]
    server.faults["/data.bin"] = Fault(body=b"<html>log in</html>")
    assert get(f"{server.url}/data.bin")[::2] == (200, b"<html>log in</html>")


def test_truncate_closes_the_connection_early(server: ChannelServer) -> None:
    server.faults["/data.bin"] = Fault(truncate=100)
    with pytest.raises(http.client.IncompleteRead) as raised:
        get(f"{server.url}/data.bin")
    assert raised.value.partial == CONTENT[:100]


def test_delay_and_hang(server: ChannelServer) -> None:
    server.faults["/data.bin"] = Fault(delay=0.1)
    start = time.monotonic()
    assert get(f"{server.url}/data.bin")[0] == 200
    assert time.monotonic() - start >= 0.1
    server.faults["/data.bin"] = Fault(hang=True)
    with pytest.raises(TimeoutError):
        get(f"{server.url}/data.bin", timeout=0.1)


def test_who_was_kept_waiting_is_answered_when_the_fault_is_over(server: ChannelServer) -> None:
    server.faults["/data.bin"] = fault = Fault(hang=True, times=1)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(get, f"{server.url}/data.bin")
        wait_for("it hangs", lambda: fault.times == 0)
        assert not answer.done()
        server.faults.clear()
        assert answer.result()[::2] == (200, CONTENT)


def test_authorization(server: ChannelServer) -> None:
    server.authorization = "Bearer right"
    assert get(f"{server.url}/data.bin")[0] == 401
    assert get(f"{server.url}/data.bin", Authorization="Bearer right")[0] == 200


def test_installs_over_http_and_reports_corruption(tmp_path: Path, install_from: Callable[..., list[str]]) -> None:
    channel = tmp_path / "channel"
    write_package(channel, "tiny", "1.0", files={"share/tiny": "x"})
    index(channel)
    with ChannelServer(channel) as server:
        server.faults["/noarch/tiny-1.0-0.conda"] = Fault(status=404)
        with pytest.raises(Exception, match="404"):
            install_from(server.url, tmp_path / "env", "tiny")
        server.faults.clear()
        assert install_from(server.url, tmp_path / "env", "tiny") == ["tiny"]
        assert server.count("*.conda") == 2
