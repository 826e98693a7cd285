"""What is signed with the secret of the deployment: tokens that other programs make, and the state of a login.

PyJWT is loaded when there is something to sign or to read: with what it brings along it takes 6 MB.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from conda_store.auth.tokens import Grant, parsed_grant
from conda_store.domain.roles import BUILT_IN_ROLES, Roles
from conda_store.errors import ConfigurationError

# HMAC only: with a shared secret there is no other kind, and `none` is no signature
ALGORITHMS = ("HS256", "HS384", "HS512")
SHORTEST_SECRET = 32
# begins the identity of tokens that are made with a signed one
SIGNED = "signed:"
_STATE = "conda-store-login"
_LONGEST = 16 * 1024


class SignedTokens:
    """Tokens (JWT) that whoever knows the secret may make: `{primary_namespace, role_bindings, exp}`.

    Raises:
        ConfigurationError: the secret is too short to sign with, or the algorithm is none of `ALGORITHMS`.
    """

    def __init__(self, secret: str, algorithm: str = "HS256", roles: Roles = BUILT_IN_ROLES) -> None:
        if len(secret.encode()) < SHORTEST_SECRET:
            raise ConfigurationError(
                f"c.AuthenticationBackend.secret is shorter than {SHORTEST_SECRET} bytes, so that it could be guessed",
                hint="Make one with `openssl rand -hex 32`; without one tokens are not signed, and nothing is missing.",
            )
        if algorithm not in ALGORITHMS:
            raise ConfigurationError(
                f"c.AuthenticationBackend.jwt_algorithm {algorithm!r} is not one of {', '.join(ALGORITHMS)}"
            )
        self._secret = secret
        self._own = f"{SIGNED}{hmac.digest(secret.encode(), b'identity', 'sha256').hex()[:16]}:"
        self._algorithm = algorithm
        self._roles = roles

    def identity(self, namespace: str) -> str:
        """Whose tokens are those that are made with a signed one: they end with the secret that it was signed with."""
        return f"{self._own}{namespace}"

    def namespace(self, identity: str) -> str | None:
        """The primary namespace of an identity of ours; None for another's, or one of a former secret."""
        return identity.removeprefix(self._own) if identity.startswith(self._own) else None

    def find(self, token: str) -> Grant | None:
        """What a token of ours grants; None where it is another's, has expired or cannot be read."""
        claims = _decoded(token, self._secret, self._algorithm, required=["exp"])
        if claims is None or claims.get("aud") is not None:
            return None
        known = {key: claims.get(key) for key in ("primary_namespace", "role_bindings", "exp")}
        try:
            return parsed_grant(known, self._roles)
        except (ConfigurationError, TypeError, AttributeError):
            return None


class LoginState:
    """What a browser carries while it is at the provider: signed, so that nobody else can have begun its login."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def sign(self, values: Mapping[str, str], lifetime: timedelta) -> str:
        import jwt

        return jwt.encode(
            {**values, "aud": _STATE, "exp": datetime.now(UTC) + lifetime}, self._secret, algorithm=ALGORITHMS[0]
        )

    def read(self, text: str) -> dict[str, str] | None:
        """The values; None where they were not signed by us, or too long ago."""
        claims = _decoded(text, self._secret, ALGORITHMS[0], audience=_STATE, required=["exp", "aud"])
        return None if claims is None else {key: str(value) for key, value in claims.items()}


def _decoded(
    text: str, secret: str, algorithm: str, *, required: list[str], audience: str | None = None
) -> dict[str, Any] | None:
    if len(text) > _LONGEST or text.count(".") != 2:
        return None
    import jwt

    options: Any = {"require": required, "verify_aud": audience is not None}
    try:
        return jwt.decode(text, secret, algorithms=[algorithm], audience=audience, options=options)
    except (jwt.PyJWTError, ValueError):
        return None
