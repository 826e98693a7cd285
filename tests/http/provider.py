"""Somebody to log in with: an OAuth 2 and OpenID provider on loopback that can be told to misbehave."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from conda_store.domain.pkce import challenge_of
from tests.waiting import PATIENCE

CLIENT, SECRET = "conda-store", "client-secret"


@dataclass
class Person:
    name: str = "alice"
    groups: tuple[str, ...] = ("data",)


@dataclass
class Provider:
    """`change` may alter an answer of the token endpoint, `claims` those of the ID token, `key` is what signs it."""

    person: Person = field(default_factory=Person)
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    signs_with: Any = None
    algorithm: str = "RS256"
    kid: str = "one"
    claims: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    body: bytes | None = None
    user_info: Mapping[str, Any] = field(default_factory=dict)
    description: Mapping[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def __enter__(self) -> Provider:
        handler = type("Handler", (_Handler,), {"provider": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://localhost:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(PATIENCE)

    def authorize(self, query: Mapping[str, str]) -> str:
        """Where somebody who has logged in is sent back to."""
        code = f"code-{len(self.codes)}"
        self.codes[code] = dict(query)
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def exchange(self, form: Mapping[str, str]) -> tuple[int, Any]:
        asked = self.codes.pop(form.get("code", ""), None)
        is_ours = form.get("client_id") == CLIENT and form.get("client_secret") == SECRET
        if asked is None or not is_ours or asked["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        if asked["code_challenge"] != challenge_of(form["code_verifier"]):
            return 400, {"error": "invalid_grant", "error_description": "PKCE"}
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": CLIENT, "sub": "4711", "iat": now, "exp": now + 300, "nonce": asked.get("nonce"),
            "preferred_username": self.person.name, "groups": list(self.person.groups), **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        signed = jwt.encode(claims, self.signs_with or self.key, algorithm=self.algorithm, headers={"kid": self.kid})
        return 200, {"access_token": "access", "token_type": "Bearer", "id_token": signed}

    def answer(self, path: str, query: Mapping[str, str], form: Mapping[str, str]) -> tuple[int, Any]:
        self.asked.append((path, form or query))
        routes: dict[str, Callable[[], tuple[int, Any]]] = {
            "/token": lambda: self.exchange(form),
            "/user": lambda: (200, {"login": self.person.name, "groups": list(self.person.groups)}),
            "/userinfo": lambda: (200, {"sub": "4711", **self.user_info}),
            "/jwks": lambda: (200, {"keys": [self._public()]}),
            "/.well-known/openid-configuration": lambda: (
                200,
                {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "userinfo_endpoint": f"{self.url}/userinfo",
                    "jwks_uri": f"{self.url}/jwks",
                    **self.description,
                },
            ),
        }
        return routes[path]() if path in routes else (404, {"error": "not found"})

    def answer_to(
        self, path: str, query: Mapping[str, str], form: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, Any]:
        return self.answer(path, query, form)

    def _public(self) -> dict[str, Any]:
        key: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return key | {"kid": "one", "use": "sig", "alg": "RS256"}


@dataclass
class GitHub(Provider):
    """As its documentation describes it: refusals of the token endpoint have status 200; the API wants a user agent and
    the token; lists come by the page, 30 at once where nobody asks for more, 100 at most; an e-mail address may be
    private. `refusal` is what the token endpoint answers."""

    refusal: str = ""
    granted: str = ""

    def answer_to(
        self, path: str, query: Mapping[str, str], form: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, Any]:
        self.asked.append((path, form or query))
        if path == "/login/oauth/access_token":
            return self._token(form, headers)
        if not headers.get("User-Agent"):
            return 403, {"message": "Request forbidden by administrative rules."}
        if headers.get("Authorization") != "Bearer gho_access":
            return 401, {"message": "Bad credentials"}
        if path == "/user":
            return 200, {"login": self.person.name, "id": 583231, "type": "User", "name": None, "email": None}
        if path == "/user/orgs":
            if not {"user", "read:org"} & set(self.granted.split(",")):
                return 403, {"message": "You need at least read:org scope or user scope to list your organizations."}
            size = min(int(query.get("per_page", 30)), 100)
            start = (int(query.get("page", 1)) - 1) * size
            return 200, [{"login": name, "id": 1} for name in self.person.groups[start : start + size]]
        return 404, {"message": "Not Found"}

    def _token(self, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, Any]:
        assert headers["Accept"] == "application/json", "or else the answer is a form"
        self.granted = self.codes.get(form.get("code", ""), {}).get("scope", "").replace(" ", ",")
        status, _ = self.exchange(form)
        if self.refusal or status != 200:
            error = self.refusal or "bad_verification_code"
            return 200, {"error": error, "error_description": "...", "error_uri": "https://docs.github.example/"}
        return 200, {"access_token": "gho_access", "scope": self.granted, "token_type": "bearer"}


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        form = {
            name: values[0]
            for name, values in parse_qs(self.rfile.read(int(self.headers.get("content-length") or 0)).decode()).items()
        }
        if parts.path in {"/authorize", "/login/oauth/authorize"}:
            self.send_response(302)
            self.send_header("location", self.provider.authorize(query))
            self.send_header("content-length", "0")
            self.end_headers()
            return
        status, content = self.provider.answer_to(parts.path, query, form, self.headers)
        body = json.dumps(content).encode()
        if parts.path not in {"/.well-known/openid-configuration", "/jwks"}:
            status, body = (self.provider.status if status == 200 else status), self.provider.body or body
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass
