"""Getting a token of one's own from the server: by its pages in a browser, or by a code that is confirmed there."""

from __future__ import annotations

import hmac
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from conda_store.client.models import parsed
from conda_store.client.transport import Transport
from conda_store.domain.pkce import challenge_of
from conda_store.errors import ServerError

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_SECONDS = 300.0


def program_name() -> str:
    """How the token is called in the list of tokens."""
    return f"conda-store on {socket.gethostname()}"


def by_browser(transport: Transport, open_page: Callable[[str], object], *, seconds: float = _SECONDS) -> str:
    """A token that somebody allows in their browser on this machine: an authorization code with PKCE, on loopback.

    `open_page` is given the address to open.

    Raises:
        ServerError: it was denied, nobody answered in time, or the server refuses.
    """
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    with _Listener(state) as listener:
        query = {
            "redirect_uri": listener.url,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
            "state": state,
            "name": program_name(),
        }
        open_page(f"{transport.url}/login/authorize/?{urlencode(query)}")
        answer = listener.wait(seconds)
    if answer is None:
        raise ServerError(
            f"nobody allowed the login within {seconds:g} seconds",
            hint="Without a browser on this machine use `conda-store login --device`.",
        )
    if "code" not in answer:
        raise ServerError("the login was denied", hint="Allow it in the browser.")
    body = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "code_verifier": verifier,
        "redirect_uri": listener.url,
    }
    return _token(transport.change("POST", "/login/token/", body))


def by_device(
    transport: Transport, show: Callable[[str, str, str], object], *, clock: Callable[[], float] = time.monotonic
) -> str:
    """A token that somebody allows in a browser anywhere. `show` is given the address, the code, and both in one.

    Raises:
        ServerError: it was denied, nobody answered in time, or the server refuses.
    """
    asked = parsed(dict, transport.change("POST", "/login/device/code/", {"name": program_name()}))
    code, interval, end = parsed(
        lambda row: (str(row["device_code"]), float(row["interval"]), clock() + float(row["expires_in"])), asked
    )
    shown = parsed(lambda row: [str(row[key]) for key in _SHOWN], asked)
    show(shown[0], shown[1], shown[2])
    while clock() < end:
        transport.sleep(interval)
        try:
            return _token(transport.change("POST", "/login/token/", {"grant_type": _DEVICE_GRANT, "device_code": code}))
        except ServerError as error:
            if error.message == "access_denied":
                raise ServerError("the login was denied", hint="Allow it in the browser.") from error
            if error.message != "authorization_pending":
                raise
    raise ServerError("nobody allowed the login in time", hint="Start again.")


_SHOWN = ("verification_uri", "user_code", "verification_uri_complete")


def _token(answer: Any) -> str:
    return parsed(lambda row: str(row["access_token"]), answer)


class _Listener:
    """A port of loopback to which the browser brings the answer; only one with the right `state` counts."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._answer: Mapping[str, str] | None = None
        self._has_answer = threading.Event()
        self._http = HTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_port}/"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> _Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def wait(self, seconds: float) -> Mapping[str, str] | None:
        self._has_answer.wait(seconds)
        return self._answer

    def take(self, path: str) -> bool:
        """Whether this is the answer that is waited for."""
        values = {name: found[0] for name, found in parse_qs(urlsplit(path).query).items()}
        if not hmac.compare_digest(values.get("state", "").encode(), self._state.encode()) or self._answer is not None:
            return False
        self._answer = values
        self._has_answer.set()
        return True


def _handler(listener: _Listener) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            is_answer = listener.take(self.path)
            said = "You may close this page and go back to the terminal." if is_answer else "This is no answer."
            body = f"<!doctype html><title>conda-store</title><p>{said}</p>".encode()
            self.send_response(200 if is_answer else 400)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", "default-src 'none'")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass  # the request holds the code

    return Handler
