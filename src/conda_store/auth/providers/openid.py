"""OpenID Connect: discovery, authorization code with PKCE, and a signed token that says who it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from traitlets import Unicode

from conda_store.auth.providers.base import AuthenticationToken, in_thread
from conda_store.auth.providers.oauth import GenericOAuthAuthentication
from conda_store.domain.addresses import ANY_ADDRESS, AddressPolicy
from conda_store.errors import Forbidden, Unavailable

if TYPE_CHECKING:
    import jwt
    from starlette.requests import Request

# with a key of the provider's only: never `none`, never a secret that both know
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_DOCUMENT_LASTS = 3600.0
# an unknown key asks for the keys anew, but not more often than this
_KEYS_LAST_AT_LEAST = 30.0
_CLOCKS_DIFFER = 60


class OpenIDConnectAuthentication(GenericOAuthAuthentication):
    """Any OpenID provider: Keycloak, Okta, Entra ID, Google, GitLab, Dex and others."""

    issuer = Unicode("", help="The provider's address, as `iss` of its tokens names it.", config=True)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._lock = threading.Lock()
        self._document: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, jwt.PyJWKSet] | None = None

    def _access_scope_default(self) -> str:
        return "openid profile"

    def _user_data_key_default(self) -> str:
        return "preferred_username"

    def problem(self, *, is_open: bool) -> str | None:
        for name in ("issuer", "client_id", "user_data_key"):
            if not getattr(self, name):
                return f"c.{type(self).__name__}.{name} is not set"
        return None if "openid" in self.access_scope.split() else "the access_scope has to name `openid`"

    def discovered(self) -> Mapping[str, Any]:
        """The provider's description of itself (OpenID Connect Discovery), kept for an hour.

        Raises:
            Unavailable: it cannot be had, or is that of another issuer.
        """
        with self._lock:
            if self._document is None or self._document[0] < time.monotonic():
                url = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
                document = self._ask("GET", url)
                if not isinstance(document, Mapping) or document.get("issuer") != self.issuer:
                    raise Unavailable(
                        f"{url} does not describe the issuer {self.issuer}",
                        hint="c.OpenIDConnectAuthentication.issuer has to be written exactly as there.",
                    )
                self._document = (time.monotonic() + _DOCUMENT_LASTS, document)
            return self._document[1]

    async def authenticate(self, request: Request) -> AuthenticationToken | None:
        answer = await in_thread(self._exchange, request)
        token = answer.get("id_token")
        if not isinstance(token, str):
            return None
        nonce: str = request.state.login["nonce"]
        return await in_thread(self._of_id_token, token, nonce, answer.get("access_token"))

    def _of_id_token(self, token: str, nonce: str, access_token: object) -> AuthenticationToken:
        claims = dict(self.verified(token, nonce))
        if isinstance(access_token, str) and not {self.user_data_key, self.groups_key} <= set(claims):
            claims = {**self._user_info(access_token, claims["sub"]), **claims}
        if self.user_data_key == "email" and claims.get("email_verified") is False:
            raise Forbidden("the provider has not verified your e-mail address", hint="Have it verified there.")
        return self._person(claims)

    def verified(self, token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of a token that this provider has signed, for us, for this very login, and that is still valid.

        Raises:
            Forbidden: it is not.
        """
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            key = self._key(header.get("kid"))
            if header.get("alg") not in _ALGORITHMS:
                raise jwt.InvalidAlgorithmError(str(header.get("alg")))
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[header["alg"]],
                audience=self.client_id,
                issuer=self.issuer,
                leeway=_CLOCKS_DIFFER,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError) as error:
            self.log.warning("an ID token was refused: %s", type(error).__name__)
            raise Forbidden("the provider's token cannot be accepted", hint="Log in once more.") from error
        if claims.get("nonce") != nonce or claims.get("azp", self.client_id) != self.client_id:
            self.log.warning("an ID token was refused: it belongs to another login")
            raise Forbidden("the provider's token belongs to another login", hint="Log in once more.")
        return claims

    def _key(self, kid: object) -> jwt.PyJWK:
        import jwt

        with_kid = [key for key in self._key_set(None) if key.key_id == kid or kid is None]
        if not with_kid:
            with_kid = [key for key in self._key_set(kid) if key.key_id == kid]
        if not with_kid:
            raise jwt.InvalidKeyError("unknown key")
        return with_kid[0]

    def _key_set(self, missing: object) -> list[jwt.PyJWK]:
        """The provider's keys; fetched again where one is missing."""
        import jwt

        document = self.discovered()
        with self._lock:
            age = _DOCUMENT_LASTS if self._keys is None else time.monotonic() - self._keys[0]
            if self._keys is None or age >= (_DOCUMENT_LASTS if missing is None else _KEYS_LAST_AT_LEAST):
                answer = self._ask("GET", str(document.get("jwks_uri", "")))
                self._keys = (time.monotonic(), jwt.PyJWKSet.from_dict(answer))
            return list(self._keys[1].keys)

    def _user_info(self, access_token: str, subject: object) -> Mapping[str, Any]:
        url = self.discovered().get("userinfo_endpoint")
        if not isinstance(url, str):
            return {}
        data = self._ask("GET", url, token=access_token)
        # OpenID Connect Core 5.3.2: what is told of another subject must not be used
        return data if isinstance(data, Mapping) and data.get("sub") == subject else {}

    def _addresses_for(self, url: str) -> AddressPolicy:
        """The provider's own host is the operator's choice; any other that it names has to be what may be asked on
        behalf of others."""
        return ANY_ADDRESS if urlsplit(url).hostname == urlsplit(self.issuer).hostname else self.addresses

    def _authorize_url(self) -> str:
        return self._endpoint("authorization_endpoint")

    def _token_url(self) -> str:
        return self._endpoint("token_endpoint")

    def _endpoint(self, name: str) -> str:
        url = self.discovered().get(name)
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise Unavailable(f"the provider {self.issuer} names no {name}")
        return url

    def _extra(self, nonce: str) -> dict[str, str]:
        return {"nonce": nonce}
