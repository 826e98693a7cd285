"""Requests to one server: who asks, how long to wait, when to try again, where redirects lead."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx

import conda_store
from conda_store.client.address import parse_address, without_credentials
from conda_store.client.answers import data_of, no_answer, not_conda_store, refusal, shown
from conda_store.client.login import Anonymous, Login, Password, Token
from conda_store.errors import ServerError

Parameters = Mapping[str, str | int | bool | Sequence[str] | None]

UNREADY = frozenset({502, 503, 504})
MAX_REDIRECTS = 10


@dataclass(frozen=True)
class Patience:
    """Seconds: to connect, between two pieces of an answer, before trying again (doubled each time, at most `longest`).

    `attempts` counts the first one.
    """

    connect: float = 10.0
    read: float = 60.0
    first_delay: float = 0.25
    longest_delay: float = 10.0
    attempts: int = 4

    def delay(self, failures: int, asked_for: str | None = None) -> float:
        """How long to wait after so many failures; `asked_for` is the server's Retry-After."""
        if asked_for is not None and asked_for.isdigit():
            return min(float(asked_for), self.longest_delay)
        # jitter, so that clients do not come back all at once
        jitter = random.uniform(0.8, 1.2)  # noqa: S311
        return min(self.first_delay * 2.0 ** (failures - 1), self.longest_delay) * jitter


class Transport:
    """One server, one login. `sleep` and `transport` are there for tests."""

    def __init__(
        self,
        url: str,
        login: Login = Anonymous(),  # noqa: B008 - frozen
        *,
        verify_ssl: bool = True,
        patience: Patience = Patience(),
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = parse_address(url)
        self.patience = patience
        self.sleep = sleep
        self._login = login
        self._is_logged_in = not isinstance(login, Password)
        headers = {"User-Agent": f"conda-store/{conda_store.__version__}"}
        if isinstance(login, Token):
            headers["Authorization"] = f"Bearer {login.value}"
        self._http = httpx.Client(
            headers=headers,
            verify=verify_ssl,
            timeout=httpx.Timeout(patience.read, connect=patience.connect),
            transport=transport,
            trust_env=transport is None,
            # else credentials in the address would replace the login that was asked for
            auth=None if isinstance(login, Anonymous) else _unchanged,
        )

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, parameters: Parameters | None = None, *, timeout: float | None = None) -> Any:
        """The JSON at `path`, which begins with `/`. Tried again where the server is unready.

        Raises:
            ServerError: refused, not reached, or no conda-store.
        """
        return data_of(self.send("GET", path, parameters=parameters, is_repeatable=True, timeout=timeout))

    def change(self, method: str, path: str, json: Any = None, *, is_repeatable: bool = False) -> Any:
        """The JSON that answers a change; only a repeatable one is sent again after a failure that may have had effect.

        Raises:
            ServerError: refused, not reached, or no conda-store.
        """
        return data_of(self.send(method, path, json=json, is_repeatable=is_repeatable))

    def send(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters | None = None,
        json: Any = None,
        is_repeatable: bool,
        timeout: float | None = None,
    ) -> httpx.Response:
        """The answer, read and of a status below 400.

        Raises:
            ServerError: as for `get`.
        """
        self._log_in()
        failures = 0
        while True:
            request = self._request(method, path, parameters, json, {}, timeout)
            try:
                response = self._follow(request, stream=False)
            except httpx.TransportError as error:
                failures += 1
                # no connection means that nothing happened, so everything may be tried again
                may_repeat = is_repeatable or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if not may_repeat or failures >= self.patience.attempts or _is_hopeless(error):
                    raise no_answer(error, self.url) from error
                self.sleep(self.patience.delay(failures))
                continue
            if response.status_code < 400:
                return response
            failures += 1
            if response.status_code not in UNREADY or not is_repeatable or failures >= self.patience.attempts:
                raise refusal(response)
            self.sleep(self.patience.delay(failures, response.headers.get("retry-after")))

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        parameters: Parameters | None = None,
        headers: Mapping[str, str] | None = None,
        accepts: frozenset[int] = frozenset(),
        timeout: float | None = None,
    ) -> Iterator[httpx.Response]:
        """One attempt at a GET whose body is read as it comes. `accepts` names statuses from 400 on to be passed on.

        Raises:
            httpx.TransportError: there was no answer.
            ServerError: refused.
        """
        self._log_in()
        response = self._follow(self._request("GET", path, parameters, None, headers or {}, timeout), stream=True)
        try:
            if response.status_code >= 400 and response.status_code not in accepts:
                response.read()
                raise refusal(response)
            yield response
        finally:
            response.close()

    def _request(
        self,
        method: str,
        path: str,
        parameters: Parameters | None,
        json: Any,
        headers: Mapping[str, str],
        timeout: float | None,
    ) -> httpx.Request:
        given = {key: value for key, value in (parameters or {}).items() if value is not None}
        patience = httpx.Timeout(timeout or self.patience.read, connect=self.patience.connect)
        return self._http.build_request(
            # empty ones would take the path's own query away
            method,
            f"{self.url}{path}",
            params=given or None,
            json=json,
            headers=dict(headers),
            timeout=patience,
        )

    def _follow(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        """Along redirects. httpx takes the login out of what goes to another origin.

        301 and 302 would turn a change into a GET, so a change follows 307 and 308 only.
        """
        method = request.method
        for _ in range(MAX_REDIRECTS):
            response = self._http.send(request, stream=stream, follow_redirects=False)
            if response.next_request is None:
                return response
            if method != "GET" and response.status_code not in {307, 308}:
                raise ServerError(
                    f"the server moved from {shown(response)} to {response.next_request.url.copy_with(query=None)}",
                    hint="Use the new address (--conda-store-url or CONDA_STORE_URL).",
                    status=response.status_code,
                )
            response.close()
            request = response.next_request
        raise ServerError(f"{without_credentials(self.url)} redirects without end", hint="Is the address right?")

    def _log_in(self) -> None:
        if self._is_logged_in or not isinstance(self._login, Password):
            return
        self._is_logged_in = True  # also where it fails: a wrong password is not sent again and again
        body = {"username": self._login.username, "password": self._login.password}
        try:
            response = self._follow(self._request("POST", "/login/", None, body, {}, None), stream=False)
        except httpx.TransportError as error:
            raise no_answer(error, self.url) from error
        if response.status_code in {401, 403}:
            raise ServerError(
                f"the server does not accept the password of {self._login.username}",
                hint="Check CONDA_STORE_USERNAME and CONDA_STORE_PASSWORD.",
                status=response.status_code,
            )
        if response.status_code >= 400:
            raise refusal(response)
        if not response.cookies and not self._http.cookies:
            raise not_conda_store(response)


def _unchanged(request: httpx.Request) -> httpx.Request:
    return request


def _is_hopeless(error: httpx.TransportError) -> bool:
    """Whether trying again cannot help: an untrusted certificate, a host name that does not exist."""
    text = str(error)
    return isinstance(error, httpx.UnsupportedProtocol) or any(
        sign in text for sign in ("CERTIFICATE", "Name or service not known", "nodename nor servname")
    )
