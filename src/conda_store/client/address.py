"""A server's address: the base URL, prefix included, in one spelling."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

from conda_store.errors import InvalidInput

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def parse_address(url: str) -> str:
    """`url` with lower-case scheme and host, without default port, query, fragment and trailing slash.

    Raises:
        InvalidInput: it is no http or https URL.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise InvalidInput(
            f"{without_credentials(url)!r} is no address of a conda-store",
            hint="An address is a URL with its prefix, such as http://localhost:8080/conda-store.",
        )
    location = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        location = f"{location}:{port}"
    login, at, _ = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, f"{login}{at}{location}", parts.path.rstrip("/"), "", ""))


def without_credentials(url: str) -> str:
    """The URL as it may be shown."""
    scheme, separator, rest = url.partition("://")
    location, slash, path = rest.partition("/")
    return f"{scheme}{separator}{location.rpartition('@')[2]}{slash}{path}"


def loopback_spellings(url: str) -> tuple[str, ...]:
    """The same address under the other names of this machine's loopback; empty for every other host."""
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK:
        return ()
    port = f":{parts.port}" if parts.port is not None else ""
    others = sorted(_LOOPBACK - {parts.hostname}, reverse=True)
    locations = (f"[{host}]{port}" if ":" in host else f"{host}{port}" for host in others)
    return tuple(urlunsplit((parts.scheme, location, parts.path, "", "")) for location in locations)


def path_segment(text: str | int) -> str:
    """`text` as one segment of a path: names may hold `?` and `&`.

    Raises:
        InvalidInput: it is empty or has a slash, and would lead to another path.
    """
    if not text or "/" in str(text):
        raise InvalidInput(f"{text!r} is no name", hint="A name is not empty and has no slash.")
    return quote(str(text), safe="")
