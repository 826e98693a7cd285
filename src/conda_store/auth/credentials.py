"""The token in a request: a cookie, else the Authorization header."""

from __future__ import annotations

import base64
import binascii


def presented_token(cookie: str | None, authorization: str | None) -> str | None:
    """The token to look at, or None. A cookie hides the header; Basic carries the token as its password."""
    if cookie is not None:
        return cookie or None
    scheme, _, rest = (authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    if scheme.lower() == "basic":
        return _password(rest.strip())
    return None


def _password(encoded: str) -> str | None:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    _, separator, password = decoded.partition(":")
    return password if separator and password else None
