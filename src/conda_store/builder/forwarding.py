"""A proxy on loopback for those who ask by themselves: rattler, uv, and the git that uv starts.

Whatever they connect to, redirects included, is looked up here, checked against the policy of addresses, and connected
to by its address. It serves the process that has started it, and the children that are told its password.

Proxies of the environment are asked as ever, by us: they have a policy of their own.
"""

from __future__ import annotations

import contextlib
import hmac
import http.client
import re
import secrets
import socket
import threading
import urllib.request
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from conda_store.domain.addresses import ALL, AddressPolicy
from conda_store.domain.requests import basic_authorization, connected
from conda_store.errors import AddressRefused, InvalidInput

_PIECE = 256 * 1024
_SECONDS = 30.0
_REFUSALS_KEPT = 1000
# what is between us and one neighbour only (RFC 9110, 7.6.1)
_BETWEEN_NEIGHBOURS = frozenset(
    {
        "connection", "keep-alive", "proxy-authorization", "proxy-authenticate", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_HOST = re.compile(r"://(?:[^/\s@]*@)?(\[[0-9a-fA-F:.]+\]|[^/\s:)\"']+)")


class Forwarder:
    """Runs until the process ends. `url` is what programs have to be told."""

    def __init__(self, policy: AddressPolicy) -> None:
        self.policy = policy
        self._password = secrets.token_urlsafe(24)
        self._refusals: OrderedDict[str, InvalidInput] = OrderedDict()
        self._server = _Server(self)
        self.url = f"http://builder:{self._password}@127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(3600.0,), name="forwarder", daemon=True).start()

    @property
    def variables(self) -> dict[str, str]:
        """For programs that read their proxies from the environment."""
        names = ("http_proxy", "https_proxy", "all_proxy")
        return {name: self.url for text in names for name in (text, text.upper())} | {"no_proxy": "", "NO_PROXY": ""}

    def is_password(self, authorization: str) -> bool:
        expected = basic_authorization("builder", self._password)
        return hmac.compare_digest(authorization.encode(), expected.encode())

    def note(self, host: str, refusal: InvalidInput) -> None:
        self._refusals[host.lower()] = refusal
        while len(self._refusals) > _REFUSALS_KEPT:
            self._refusals.popitem(last=False)

    def forget(self, host: str) -> None:
        """The host may be asked by now: its name stands for another address."""
        self._refusals.pop(host.lower(), None)

    def refusal(self, text: str) -> AddressRefused | None:
        """Why, where what a program says of a URL comes from our refusal."""
        for match in _HOST.finditer(text):
            if (found := self._refusals.get(match[1].strip("[]").lower())) is not None:
                return AddressRefused(found.message, hint=found.hint)
        return None


def forwarder(policy: AddressPolicy) -> Forwarder | None:
    """The process's proxy for the policy; None where everything may be asked, so that none is needed."""
    if ALL in policy.allowed_inside:
        return None
    with _making:
        return _forwarder(policy)


def refused(text: str, policy: AddressPolicy) -> AddressRefused | None:
    """The refusal that a program's complaint stems from; None where it has another reason."""
    used = forwarder(policy)
    return used.refusal(text) if used is not None else None


# else two threads that are the first would have two, of which each knows of its own refusals only
_making = threading.Lock()


@lru_cache(maxsize=4)
def _forwarder(policy: AddressPolicy) -> Forwarder:
    return Forwarder(policy)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, forwarder: Forwarder) -> None:
        self.forwarder = forwarder
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A program that goes away in the middle is none of our business, and it hears of everything else."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 300.0
    wbufsize = 0

    @property
    def is_known(self) -> bool:
        """Whether the request comes from those that this proxy is for, and not from others on this machine."""
        return self.server.forwarder.is_password(self.headers.get("Proxy-Authorization") or "")

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the build log tells what was fetched."""

    def do_CONNECT(self) -> None:
        """A tunnel, for HTTPS: for those who know the password."""
        if not self.is_known:
            self.close_connection = True
            self.send_error(407)
            return
        parts = urlsplit(f"//{self.path}")
        if (way := self._reached("https", parts.hostname or "", parts.port or 443)) is None:
            return
        self.close_connection = True
        with contextlib.closing(way.connection):
            self.send_response_only(200)
            self.end_headers()
            there = way.connection.sock
            self.connection.settimeout(None)
            there.settimeout(None)
            other = threading.Thread(target=_carry, args=(self.connection, there), daemon=True)
            other.start()
            _carry(there, self.connection)
            other.join()

    def _plain(self) -> None:
        """A request without TLS, whose answer is handed on. Who was redirected comes without the password: that is a
        header, which goes to no other host."""
        parts = urlsplit(self.path)
        if parts.scheme != "http" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self.send_error(400)
            return
        if (way := self._reached("http", parts.hostname or "", parts.port or 80)) is None:
            return
        with contextlib.closing(way.connection):
            try:
                self._ask(way, self.path if way.is_proxied else parts._replace(scheme="", netloc="").geturl())
                answer = way.connection.getresponse()
            except (OSError, http.client.HTTPException):
                self.close_connection = True
                self.send_error(502)
                return
            self._hand_on(answer)

    do_GET = do_HEAD = do_POST = _plain  # noqa: N815 - the names are the standard library's

    def _reached(self, scheme: str, host: str, port: int) -> _Way | None:
        """The way to a host; None where the program has been told that there is none."""
        try:
            way = _way(self.server.forwarder.policy, scheme, host, port)
            self.server.forwarder.forget(host)
            return way
        except InvalidInput as error:
            self.server.forwarder.note(host, error)
            # misdirected: what a package index says with 403 would be taken for a lack of credentials
            self.send_error(421)
        except (OSError, ValueError, http.client.HTTPException):
            self.send_error(502)
        return None

    def _ask(self, way: _Way, target: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        way.connection.putrequest(self.command, target or "/", skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _BETWEEN_NEIGHBOURS:
                way.connection.putheader(name, value)
        for name, value in way.headers.items() if self.is_known else ():
            way.connection.putheader(name, value)
        way.connection.endheaders(body or None)

    def _hand_on(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        has_length = answer.getheader("Content-Length") is not None
        for name, value in answer.getheaders():
            if name.lower() not in _BETWEEN_NEIGHBOURS:
                self.send_header(name, value)
        if not has_length and self.command != "HEAD" and answer.status not in (204, 304):
            self.send_header("Connection", "close")  # and sets close_connection
        self.end_headers()
        while piece := answer.read1(_PIECE):
            self.wfile.write(piece)


@dataclass(frozen=True)
class _Way:
    """`is_proxied`: by way of another proxy, which is sent `headers` besides."""

    connection: http.client.HTTPConnection
    is_proxied: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


def _way(policy: AddressPolicy, scheme: str, host: str, port: int) -> _Way:
    """Connected to the host itself, or to the environment's proxy for it."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if proxy is None or urllib.request.proxy_bypass(f"{host}:{port}"):
        connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
        connection.sock = connected(policy, (host, port), _SECONDS)
        return _Way(connection)
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {}
    if parts.username:
        password = unquote(parts.password or "")
        headers["Proxy-Authorization"] = basic_authorization(unquote(parts.username), password)
    connection = kind(parts.hostname or "", parts.port or 3128, timeout=_SECONDS)
    if scheme == "https":
        connection.set_tunnel(host, port, headers)
    connection.connect()
    return _Way(connection, True, headers)


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Bytes from one to the other, until there are no more."""
    buffer = memoryview(bytearray(_PIECE))
    with contextlib.suppress(OSError):
        while count := source.recv_into(buffer):
            target.sendall(buffer[:count])
    for connection, way in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with contextlib.suppress(OSError):
            connection.shutdown(way)
