"""A static file server for channels, with faults on demand; it listens on the loopback interface only.

    python -m tools.channel.serve DIRECTORY [--port N]

It answers HEAD, If-None-Match (strong ETags) and single byte ranges as RFC 9110 says. Python's own `http.server` has no
ETags, and sharded repodata needs them.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import hashlib
import mimetypes
import re
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Fault:
    """What goes wrong with the answer to a request. Several may be set at once.

    delay: seconds before the answer. hang: no answer until the fault is taken away (or the server stops).
    status: this status instead of the file. body: these bytes instead of the file, of this content_type.
    truncate: close the connection after so many bytes of the body.
    corrupt: offset of one byte to change (negative: from the end). no_etag: leave the ETag out.
    times: how many requests it hits before it is over; None for all.
    """

    delay: float = 0.0
    hang: bool = False
    status: int | None = None
    body: bytes | None = None
    content_type: str | None = None
    truncate: int | None = None
    corrupt: int | None = None
    no_etag: bool = False
    times: int | None = None


@dataclass(frozen=True)
class Request:
    """A request as the server saw it, and the status it got (0: no answer)."""

    method: str
    path: str
    status: int
    headers: dict[str, str] = field(repr=False)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # a client may open a connection for each package of an environment at once


class ChannelServer:
    """Serves `directory` at `url` from a thread, between `with` and its end.

    faults: path ("/noarch/repodata.json") or glob ("*.conda") -> Fault; may be changed at any time.
    requests: every answered request, in order.
    authorization: when set, the value the Authorization header must have; anything else gets 401.
    """

    def __init__(self, directory: Path, port: int = 0, *, authorization: str | None = None) -> None:
        self.directory = Path(directory).resolve()
        self.authorization = authorization
        self.faults: dict[str, Fault] = {}
        self.requests: list[Request] = []
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"channel": self})
        self._http = _Server(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Without a slash at the end, such as http://127.0.0.1:40123."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()

    def serve_forever(self) -> None:
        """Serve in the calling thread until KeyboardInterrupt."""
        with self, contextlib.suppress(KeyboardInterrupt):
            self._thread.join()

    def count(self, pattern: str = "*") -> int:
        """How many requests were made for paths that match the glob."""
        return sum(fnmatch.fnmatchcase(request.path, pattern) for request in list(self.requests))

    def take_fault(self, path: str) -> Fault:
        """The fault for this request, counted down; one without any effect if there is none."""
        with self._lock:
            for pattern, fault in list(self.faults.items()):
                if fault.times == 0 or not (pattern == path or fnmatch.fnmatchcase(path, pattern)):
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return Fault()

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than the server lives."""
        self._stopping.wait(seconds)

    def wait_for_end_of(self, fault: Fault) -> bool:
        """Until the fault is taken away; False where the server stops before."""
        while any(item is fault for item in list(self.faults.values())):
            if self._stopping.wait(0.02):
                return False
        return True


class _Handler(BaseHTTPRequestHandler):
    channel: ChannelServer
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and a small body in one segment

    def do_GET(self) -> None:
        self._status = 0
        path = urlsplit(self.path).path
        try:
            self._answer(unquote(path))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            self.channel.requests.append(Request(self.command, unquote(path), self._status, dict(self.headers)))

    do_HEAD = do_GET  # noqa: N815 - http.server finds it by this name

    def log_message(self, *_: object) -> None:
        """Silent; `requests` has it all."""

    def _answer(self, path: str) -> None:
        fault = self.channel.take_fault(path)
        if fault.hang and not self.channel.wait_for_end_of(fault):
            self.close_connection = True
            return
        if fault.delay:
            self.channel.wait(fault.delay)
        if self.channel.authorization not in (None, self.headers.get("Authorization")):
            answer = _plain(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Basic"})
        elif fault.status is not None:
            answer = _plain(fault.status, {}, fault.body)
        else:
            answer = self._file(path, fault)
        self._send(answer, fault.truncate)

    def _file(self, path: str, fault: Fault) -> Answer:
        file = (self.channel.directory / path.lstrip("/")).resolve()
        inside = file.is_relative_to(self.channel.directory) and file.is_file()
        headers = {
            "Content-Type": fault.content_type or mimetypes.guess_type(path)[0] or "application/octet-stream",
            "Accept-Ranges": "bytes",
        }
        if fault.body is not None:
            data = fault.body
        elif inside:
            data = file.read_bytes()
            headers["Last-Modified"] = self.date_time_string(int(file.stat().st_mtime))
        else:
            return _plain(HTTPStatus.NOT_FOUND)
        if fault.corrupt is not None and data:
            at = fault.corrupt % len(data)
            data = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        if not fault.no_etag:
            headers["ETag"] = etag
        return self._conditional(headers, data, etag)

    def _conditional(self, headers: dict[str, str], data: bytes, etag: str) -> Answer:
        """What If-None-Match, Range and If-Range make of the full answer."""
        known = {tag.strip().removeprefix("W/") for tag in self.headers.get("If-None-Match", "").split(",")}
        if "ETag" in headers and known & {etag, "*"}:
            return HTTPStatus.NOT_MODIFIED, headers, b""
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "").strip())
        if not asked or asked[0] == "bytes=-" or self.headers.get("If-Range", etag) != etag:
            return HTTPStatus.OK, headers, data
        first, last = asked.groups()
        size = len(data)
        start, stop = (int(first), min(size, int(last or size) + 1)) if first else (max(0, size - int(last)), size)
        if start >= stop:
            return _plain(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return HTTPStatus.PARTIAL_CONTENT, headers, data[start:stop]

    def _send(self, answer: Answer, truncate: int | None) -> None:
        self._status, headers, data = answer
        self.send_response(self._status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self._status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:truncate])
        if truncate is not None:
            self.close_connection = True


def _plain(status: int, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
    return status, {"Content-Type": "text/plain"} | (headers or {}), f"{status}\n".encode() if body is None else body


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.channel.serve", description="Serve a channel on 127.0.0.1.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    options = parser.parse_args()
    if not options.directory.is_dir():
        parser.error(f"{options.directory} is no directory; make it with: python -m tools.channel {options.directory}")
    server = ChannelServer(options.directory, options.port)
    print(f"{time.strftime('%H:%M:%S')} serving {server.directory} at {server.url}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
