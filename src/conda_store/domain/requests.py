"""HTTP over addresses that the policy permits: looked up once, checked, and connected to, at every redirect anew."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import urllib.request
from functools import lru_cache, partial
from typing import Any

from conda_store.domain.addresses import AddressPolicy


def basic_authorization(username: str, password: str) -> str:
    """The value of a header (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def connected(policy: AddressPolicy, address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
    """A connection to an address that the policy permits; arguments as for `socket.create_connection`.

    Raises:
        InvalidInput: the host lies inside.
        OSError: it is not known, or cannot be reached.
    """
    host, port = address
    failure: OSError = OSError("its host has no address")
    for found in policy.resolve(host, port):
        try:
            return socket.create_connection((found, port), *arguments, **options)
        except OSError as error:
            failure = error
    raise failure


def guarded_opener(
    policy: AddressPolicy, context: ssl.SSLContext | None = None, *, follows_redirects: bool = True
) -> urllib.request.OpenerDirector:
    """An opener for http and https alone, whose connections go to permitted addresses only. Proxies of the environment
    are asked as they are: they have a policy of their own.

    Opening raises InvalidInput for a host that lies inside.
    """

    class Plain(http.client.HTTPConnection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._create_connection = partial(connected, policy)

    class Secure(http.client.HTTPSConnection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._create_connection = partial(connected, policy)

    class PlainHandler(urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(_class_for(request, Plain, http.client.HTTPConnection), request)

    class SecureHandler(urllib.request.HTTPSHandler):
        def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            chosen = _class_for(request, Secure, http.client.HTTPSConnection)
            return self.do_open(chosen, request, context=context)

    opener = urllib.request.OpenerDirector()
    # not build_opener, which reads files and asks by FTP, too: a redirect to ftp:// would go anywhere
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        PlainHandler(),
        SecureHandler(),
    ):
        opener.add_handler(handler)
    if follows_redirects:
        opener.add_handler(urllib.request.HTTPRedirectHandler())
    return opener


@lru_cache(maxsize=16)
def kept_opener(
    policy: AddressPolicy, *, is_secure: bool, verifies: bool = True, follows_redirects: bool = True
) -> urllib.request.OpenerDirector:
    """A `guarded_opener` for many requests: a TLS context costs 20 ms, and is made only for https (`is_secure`)."""
    context = secure_context(verifies=verifies) if is_secure else None
    return guarded_opener(policy, context, follows_redirects=follows_redirects)


def secure_context(*, verifies: bool = True) -> ssl.SSLContext:
    """Whom to believe who a server is: the authorities of this machine, and those of certifi where it is installed."""
    context = ssl.create_default_context()
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        import certifi
    except ImportError:
        return context
    context.load_verify_locations(certifi.where())
    return context


def _class_for(request: urllib.request.Request, guarded: Any, plain: Any) -> Any:
    return plain if request.has_proxy() or getattr(request, "_tunnel_host", None) else guarded
