"""A static file server for channels, with faults on demand; it listens on the loopback interface only.

    python -m tools.channel.serve DIRECTORY [--port N]

It answers HEAD, If-None-Match (strong ETags) and single byte ranges as RFC 9110 says. Python's own `http.server` has no
ETags, and sharded repodata needs them.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import mimetypes
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

_BLOCK = 1 << 20


@dataclass
class Fault:
    """What goes wrong with the answer to a request. Several may be set at once.

    delay: seconds before the answer. hang: never answer (until the server stops). status: this status instead of the file.
    body: these bytes instead of the file. truncate: close the connection after so many bytes of the body.
    corrupt: offset of one byte to change (negative: from the end). no_etag: leave the ETag out.
    times: how many requests it hits before it is over; None for all.
    """

    delay: float = 0.0
    hang: bool = False
    status: int | None = None
    body: bytes | None = None
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
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="channel-server", daemon=True)

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
        with self:
            try:
                self._thread.join()
            except KeyboardInterrupt:
                pass

    def count(self, pattern: str = "*") -> int:
        """How many requests were made for paths that match the glob."""
        return sum(fnmatch.fnmatchcase(request.path, pattern) for request in list(self.requests))

    def take_fault(self, path: str) -> Fault:
        """The fault for this request, counted down; one without any effect if there is none."""
        with self._lock:
            for pattern, fault in self.faults.items():
                if fault.times == 0 or not (pattern == path or fnmatch.fnmatchcase(path, pattern)):
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return Fault()

    def wait(self, seconds: float | None) -> None:
        """Sleep, but no longer than the server lives."""
        self._stopping.wait(seconds)


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

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Silent; `requests` has it all."""

    def _answer(self, path: str) -> None:
        fault = self.channel.take_fault(path)
        if fault.hang:
            self.channel.wait(None)
            self.close_connection = True
            return
        if fault.delay:
            self.channel.wait(fault.delay)
        if self.channel.authorization not in (None, self.headers.get("Authorization")):
            return self._plain(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Basic"})
        if fault.status is not None:
            return self._plain(fault.status, {}, fault.body)
        file = self._find(path)
        if file is None and fault.body is None:
            return self._plain(HTTPStatus.NOT_FOUND, {})
        data = fault.body if fault.body is not None else file.read_bytes() if file else b""
        if fault.corrupt is not None and data:
            at = fault.corrupt % len(data)
            data = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        self._send(file or Path(path), data, fault)

    def _find(self, path: str) -> Path | None:
        """The file of a URL path, or None if there is none inside the directory."""
        file = (self.channel.directory / path.lstrip("/")).resolve()
        return file if file.is_relative_to(self.channel.directory) and file.is_file() else None

    def _send(self, file: Path, data: bytes, fault: Fault) -> None:
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        headers = {} if fault.no_etag else {"ETag": etag}
        if file.exists():
            headers["Last-Modified"] = self.date_time_string(int(file.stat().st_mtime))
        wanted = {tag.strip().removeprefix("W/") for tag in self.headers.get("If-None-Match", "").split(",")}
        if not fault.no_etag and (etag in wanted or "*" in wanted):
            return self._head(HTTPStatus.NOT_MODIFIED, headers)
        headers |= {
            "Content-Type": mimetypes.guess_type(file.name)[0] or "application/octet-stream",
            "Accept-Ranges": "bytes",
        }
        part = self._range(len(data), etag)
        if part is None:
            return self._body(HTTPStatus.OK, headers, data, fault)
        start, stop = part
        if start >= stop:
            return self._plain(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        self._body(HTTPStatus.PARTIAL_CONTENT, headers, data[start:stop], fault)

    def _range(self, size: int, etag: str) -> tuple[int, int] | None:
        """The half-open range asked for; None if the whole file is due."""
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "").strip())
        if not found or found[0] == "bytes=-" or self.headers.get("If-Range", etag) != etag:
            return None
        first, last = found.groups()
        if not first:
            return max(0, size - int(last)), size
        return int(first), min(size, int(last) + 1 if last else size)

    def _body(self, status: int, headers: dict[str, str], data: bytes, fault: Fault) -> None:
        self._head(status, headers | {"Content-Length": str(len(data))})
        if self.command == "HEAD":
            return
        for block in _blocks(data if fault.truncate is None else data[: fault.truncate]):
            self.wfile.write(block)
        if fault.truncate is not None:
            self.wfile.flush()
            self.close_connection = True

    def _plain(self, status: int, headers: dict[str, str], body: bytes | None = None) -> None:
        if body is None:
            body = f"{status}\n".encode()
        self._body(status, headers | {"Content-Type": "text/plain"}, body, Fault())

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self._status = int(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _blocks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _BLOCK):
        yield data[start : start + _BLOCK]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.channel.serve", description="Serve a channel on 127.0.0.1.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    options = parser.parse_args()
    if not options.directory.is_dir():
        parser.error(f"{options.directory} is no directory; make a channel with: python -m tools.channel {options.directory}")
    server = ChannelServer(options.directory, options.port)
    print(f"{time.strftime('%H:%M:%S')} serving {server.directory} at {server.url}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
