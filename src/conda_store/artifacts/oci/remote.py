"""A repository in a registry (OCI distribution specification 1.1): reading its images, and writing to it."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from itertools import count
from typing import Any

from conda_store.domain.addresses import ANY_ADDRESS, AddressPolicy
from conda_store.domain.requests import basic_authorization, guarded_opener, secure_context
from conda_store.errors import ArtifactFailed, InvalidInput

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
DOCKER_HUB = "registry-1.docker.io"
_TIMEOUT = 60.0  # seconds without a byte
_LONGEST_WAIT = 400.0  # for a manifest, which may have to be made
_MOST_JSON = 4 << 20
_ATTEMPTS = 4
_FIRST_PAUSE = 0.5
_PASSING = {429, 502, 503, 504}
_LATER = "Try again in a while; if it stays so, ask whoever runs this registry."
_NO_LOGIN = "Is the login for this registry right, and may it do this?"
_INSECURE = "Whoever runs this registry has to have it name an address with https."
_HINTS = {
    401: _NO_LOGIN,
    403: _NO_LOGIN,
    404: "Is the name right? Some registries answer so, too, where a login is missing.",
    405: "Nothing can be pushed to this registry.",
    413: "It does not take blobs of this size, or a proxy in front of it does not.",
}
_REFERENCE = re.compile(
    r"(?:(?P<host>localhost(?::\d+)?|[\w.-]+\.[\w.-]+(?::\d+)?|[\w.-]+:\d+)/)?"
    r"(?P<name>[a-z0-9][a-z0-9._/-]*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_CONTROL = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True)
class Reference:
    """`host` with its port; `target` is a tag or a digest."""

    host: str
    name: str
    target: str

    @property
    def url(self) -> str:
        is_local = self.host.partition(":")[0] in {"localhost", "127.0.0.1"}
        return f"{'http' if is_local else 'https'}://{self.host}"


def parse_reference(text: str) -> Reference | None:
    """What `debian:bookworm-slim` and the like mean; None where it is no reference."""
    match = _REFERENCE.fullmatch(text)
    if match is None or ".." in match["name"]:
        return None
    host, name = match["host"] or "docker.io", match["name"]
    if host in {"docker.io", "index.docker.io", DOCKER_HUB}:
        host, name = DOCKER_HUB, name if "/" in name else f"library/{name}"
    return Reference(host, name, match["digest"] or match["tag"] or "latest")


@dataclass(frozen=True)
class Login:
    """What a registry asks for; never shown."""

    username: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        return basic_authorization(self.username, self.password)


@dataclass(frozen=True)
class RemoteManifest:
    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """With its `sha256:`."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"


class Remote:
    """The repository `name` at `url` (scheme and host). Every method raises ArtifactFailed where it cannot be had.

    The login goes to this host, and to the token service that it names, and nowhere else. `addresses` holds for this
    host, for that service, and for wherever blobs are redirected to.
    """

    def __init__(
        self,
        url: str,
        name: str,
        login: Login | None = None,
        *,
        verifies_ssl: bool = True,
        addresses: AddressPolicy = ANY_ADDRESS,
    ) -> None:
        self.host = urllib.parse.urlsplit(url).netloc
        self.name = name
        self._url = url
        self._login = login
        self._authorization = ""
        self._scope = f"repository:{name}:pull"
        self._opener = guarded_opener(addresses, secure_context(verifies=verifies_ssl))

    # --- reading -------------------------------------------------------------------------------------------

    def manifest(self, target: str, *, with_index: bool = True) -> RemoteManifest:
        """The manifest or index under a tag or digest; it is what its digest says."""
        accepted = (*INDEX_TYPES, *MANIFEST_TYPES) if with_index else MANIFEST_TYPES
        path = f"manifests/{target}"
        answer = self._answer("GET", path, {"Accept": ", ".join(accepted)}, timeout=_LONGEST_WAIT)
        with answer, self._explained(path):
            content = answer.read(_MOST_JSON)
            media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        found = RemoteManifest(content, media_type)
        if DIGEST.fullmatch(target) and found.digest != target:
            raise ArtifactFailed(f"the manifest {target} of {self.host} arrived damaged", hint=_LATER)
        return found

    def blob(self, digest: str, chunk: int = 1 << 20) -> Iterator[bytes]:
        """The content, which is what the digest says once it has come to its end."""
        if DIGEST.fullmatch(digest) is None:
            raise ArtifactFailed(f"the digest {digest[:100]!r} is no sha256")
        seen = hashlib.sha256()
        with self._answer("GET", f"blobs/{digest}") as answer, self._explained(f"blobs/{digest}"):
            while data := answer.read(chunk):
                seen.update(data)
                yield data
        if f"sha256:{seen.hexdigest()}" != digest:
            raise ArtifactFailed(f"the blob {digest} of {self.host} arrived damaged", hint=_LATER)

    def has_blob(self, digest: str) -> bool:
        with self._answer("HEAD", f"blobs/{digest}", {}, accepted={200, 404}) as answer:
            return answer.status == 200

    # --- writing -------------------------------------------------------------------------------------------

    def allow_writing(self, mounts: Iterable[str] = ()) -> None:
        """From now on tokens are asked for with which to write, and to take blobs over from other repositories."""
        scopes = [f"repository:{self.name}:pull,push", *(f"repository:{name}:pull" for name in sorted(set(mounts)))]
        self._scope = " ".join(scopes)
        self._authorization = ""

    def take_over(self, digest: str, repository: str) -> bool:
        """Have a blob from another repository of the same registry; False where that is not possible."""
        query = urllib.parse.urlencode({"mount": digest, "from": repository})
        # 202: it has begun an upload instead, which it forgets
        with self._answer("POST", f"blobs/uploads/?{query}", accepted={201, 202, 401, 403, 404}) as answer:
            return answer.status == 201

    def upload(self, digest: str, size: int, content: Callable[[], Iterable[bytes]]) -> None:
        """Store a blob of `size` bytes; `content` may be called again, where the connection breaks."""
        for attempt in range(_ATTEMPTS):
            try:
                self._upload(digest, size, content)
                return
            except (OSError, HTTPException) as error:
                if attempt == _ATTEMPTS - 1 or not _is_passing(error):
                    raise self._failure("blobs/uploads/", error) from error
            time.sleep(_FIRST_PAUSE * 2**attempt)

    def _upload(self, digest: str, size: int, content: Callable[[], Iterable[bytes]]) -> None:
        with self._answer("POST", "blobs/uploads/", accepted={202}) as answer:
            place = urllib.parse.urljoin(f"{self._url}/", answer.headers.get("Location", ""))
        if not place.startswith(("https://", f"{self._url}/")):
            raise ArtifactFailed(
                f"{self.host} wants a blob to be sent to {place[:200]!r}, which is not secure", hint=_INSECURE
            )
        separator = "&" if "?" in place else "?"
        address = f"{place}{separator}digest={urllib.parse.quote(digest)}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        with self._send("PUT", address, headers, iter(content()), _TIMEOUT):
            pass

    def put_manifest(self, target: str, manifest: RemoteManifest) -> None:
        headers = {"Content-Type": manifest.media_type}
        with self._answer("PUT", f"manifests/{target}", headers, body=manifest.content):
            pass

    # --- requests ------------------------------------------------------------------------------------------

    def _answer(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
        accepted: frozenset[int] | set[int] = frozenset(),
        timeout: float = _TIMEOUT,
    ) -> HTTPResponse | urllib.error.HTTPError:
        """Logs in where it has to, and tries again what may pass. `accepted` are statuses that are no failure."""
        address = f"{self._url}/v2/{self.name}/{path}"
        has_logged_in = False
        for attempt in count():
            try:
                return self._send(method, address, headers or {}, body, timeout)
            except urllib.error.HTTPError as error:
                if error.code == 401 and not has_logged_in:
                    has_logged_in = True
                    error.close()
                    self._log_in(error.headers.get("WWW-Authenticate", ""))
                    continue
                if error.code in accepted:
                    return error
                failure: OSError | HTTPException = error
            except (OSError, HTTPException) as error:
                failure = error
            if attempt >= _ATTEMPTS or not _is_passing(failure):
                raise self._failure(path, failure) from failure
            time.sleep(_FIRST_PAUSE * 2**attempt)
        raise AssertionError

    def _send(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        timeout: float,
    ) -> HTTPResponse:
        request = urllib.request.Request(address, data=body, headers=dict(headers), method=method)  # noqa: S310
        if self._authorization and urllib.parse.urlsplit(address).netloc == self.host:
            # not passed on where a blob is redirected to another host
            request.add_unredirected_header("Authorization", self._authorization)
        return self._open(request, timeout)

    def _open(self, request: urllib.request.Request, timeout: float) -> HTTPResponse:
        try:
            answer: HTTPResponse = self._opener.open(request, timeout=timeout)
        except InvalidInput as error:
            raise ArtifactFailed(f"{self.host} for {self.name}: {error.message}", hint=error.hint) from error
        return answer

    def _log_in(self, challenge: str) -> None:
        kind = challenge.partition(" ")[0].lower()
        if kind == "basic" and self._login is not None:
            self._authorization = self._login.header
        elif kind == "bearer":
            self._authorization = f"Bearer {self._new_token(dict(_PARAMETER.findall(challenge)))}"
        else:
            raise ArtifactFailed(f"{self.host} wants a login", hint="Give a user name and a password for it.")

    def _new_token(self, challenge: Mapping[str, str]) -> str:
        realm = challenge.get("realm", "")
        if not realm.startswith(("https://", f"{self._url}/")):
            raise ArtifactFailed(
                f"{self.host} names a token service that is not secure: {realm[:200]!r}", hint=_INSECURE
            )
        query = [("service", challenge.get("service", "")), *(("scope", item) for item in self._scope.split(" "))]
        request = urllib.request.Request(f"{realm}?{urllib.parse.urlencode(query)}")  # noqa: S310
        if self._login is not None:
            request.add_unredirected_header("Authorization", self._login.header)
        with self._explained("its token service"), self._open(request, _TIMEOUT) as answer:
            given: dict[str, Any] = json.loads(answer.read(_MOST_JSON))
            token: str = given.get("token") or given["access_token"]
            return token

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
            raise self._failure(what, error) from error

    def _failure(self, what: str, error: Exception) -> ArtifactFailed:
        asked = f"{what.partition('?')[0]} of {self.name}"
        if isinstance(error, urllib.error.HTTPError):
            said = _said(error)
            message = f"{self.host} answers {error.code} for {asked}{f' ({said})' if said else ''}"
            return ArtifactFailed(message, hint=_HINTS.get(error.code, _LATER))
        reason = getattr(error, "reason", None) or error
        hint = f"Does a registry answer at {self._url}, and can this machine reach it?"
        if isinstance(reason, ssl.SSLError):
            hint = f"Registries elsewhere are asked by TLS: {self.host} needs a certificate that this machine trusts."
        told = str(reason) or type(error).__name__
        return ArtifactFailed(f"{self.host} cannot be asked for {asked}: {told}", hint=hint)


def _is_passing(error: Exception) -> bool:
    """Whether another attempt may go better; a name or certificate that is wrong stays so."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _PASSING
    reason = getattr(error, "reason", error)
    return isinstance(reason, ConnectionResetError | BrokenPipeError | TimeoutError | HTTPException)


def _said(error: urllib.error.HTTPError) -> str:
    """The message of the first error that the registry tells of."""
    try:
        first = json.loads(error.read(_MOST_JSON))["errors"][0]
        return _CONTROL.sub(" ", str(first.get("message") or first.get("code") or ""))[:500]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OSError, HTTPException):
        return ""
