"""Pulling a base image from a registry (OCI distribution specification 1.1) into an OCI layout, anonymously."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from conda_store.errors import ArtifactFailed

_TIMEOUT = 60.0  # seconds without a byte
_CHUNK = 1 << 20
_MOST_JSON = 4 << 20
_DOCKER_HUB = "registry-1.docker.io"
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_REFERENCE = re.compile(
    r"(?:(?P<host>localhost(?::\d+)?|[\w.-]+\.[\w.-]+(?::\d+)?|[\w.-]+:\d+)/)?"
    r"(?P<name>[a-z0-9][a-z0-9._/-]*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


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
    if host in {"docker.io", "index.docker.io", _DOCKER_HUB}:
        host, name = _DOCKER_HUB, name if "/" in name else f"library/{name}"
    return Reference(host, name, match["digest"] or match["tag"] or "latest")


def pulled_layout(text: str, architecture: str, kept: Path) -> Path:
    """The OCI layout of an image below `kept`, pulled unless it is there.

    Raises:
        ArtifactFailed: it cannot be had.
    """
    reference = parse_reference(text)
    if reference is None:
        raise ArtifactFailed(f"{text!r} is no name of an image")
    target = kept / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}-{architecture}"
    if (target / "index.json").exists():
        return target
    partial = kept / f".{target.name}.{uuid.uuid4().hex[:8]}"
    try:
        _Pull(reference, partial).run(architecture)
        try:
            partial.rename(target)
        except OSError:  # somebody else has just pulled it
            if not (target / "index.json").exists():
                raise
    except (urllib.error.URLError, HTTPException, OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", None) or error
        raise ArtifactFailed(
            f"the base image {text!r} cannot be pulled: {reason}",
            hint="Name an image that can be, an OCI layout or a tar: c.CondaStore.default_docker_base_image.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


class _Pull:
    def __init__(self, reference: Reference, target: Path) -> None:
        self._reference = reference
        self._blobs = target / "blobs" / "sha256"
        self._index = target / "index.json"
        self._token = ""

    def run(self, architecture: str) -> None:
        self._blobs.mkdir(parents=True)
        content = self._json(f"manifests/{self._reference.target}")
        if _DIGEST.fullmatch(self._reference.target):
            _check(content, self._reference.target)
        document = json.loads(content)
        if "manifests" in document:
            digest = _fitting(document, architecture)
            content = self._json(f"manifests/{digest}")
            _check(content, digest)
            document = json.loads(content)
        for descriptor in (document["config"], *document["layers"]):
            self._save_blob(descriptor["digest"])
        digest = hashlib.sha256(content).hexdigest()
        (self._blobs / digest).write_bytes(content)
        listed = {"digest": f"sha256:{digest}", "size": len(content), "mediaType": _MANIFEST_TYPES[0]}
        # last: a layout without it is none
        self._index.write_text(json.dumps({"schemaVersion": 2, "manifests": [listed]}))

    def _json(self, path: str) -> bytes:
        with self._get(path, {"Accept": ", ".join((*_INDEX_TYPES, *_MANIFEST_TYPES))}) as answer:
            return answer.read(_MOST_JSON)

    def _save_blob(self, digest: str) -> None:
        if _DIGEST.fullmatch(digest) is None:
            raise ValueError(f"the digest {digest!r} is no sha256")
        seen = hashlib.sha256()
        with self._get(f"blobs/{digest}", {}) as answer, (self._blobs / digest[7:]).open("wb") as file:
            while chunk := answer.read(_CHUNK):
                seen.update(chunk)
                file.write(chunk)
        if f"sha256:{seen.hexdigest()}" != digest:
            raise ValueError(f"the blob {digest} arrived damaged")

    def _get(self, path: str, headers: Mapping[str, str], *, is_second: bool = False) -> HTTPResponse:
        request = urllib.request.Request(  # noqa: S310 - http or https by the reference
            f"{self._reference.url}/v2/{self._reference.name}/{path}", headers=dict(headers)
        )
        if self._token:
            # not passed on where a blob is redirected to another host
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            answer: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            challenge = error.headers.get("WWW-Authenticate", "")
            if error.code != 401 or is_second or not challenge.lower().startswith("bearer "):
                raise ValueError(f"{self._reference.host} answers {error.code} for {path}") from error
            self._token = self._new_token(dict(_PARAMETER.findall(challenge)))
            return self._get(path, headers, is_second=True)
        return answer

    def _new_token(self, challenge: Mapping[str, str]) -> str:
        realm = challenge["realm"]
        if not realm.startswith(("https://", "http://")):
            raise ValueError(f"its token service {realm!r} cannot be asked")
        query = {"service": challenge.get("service", ""), "scope": f"repository:{self._reference.name}:pull"}
        address = f"{realm}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=_TIMEOUT) as answer:  # noqa: S310
            given: dict[str, Any] = json.loads(answer.read(_MOST_JSON))
        token: str = given.get("token") or given["access_token"]
        return token


def _check(content: bytes, digest: str) -> None:
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise ValueError(f"the manifest {digest} arrived damaged")


def _fitting(index: Mapping[str, Any], architecture: str) -> str:
    for item in index["manifests"]:
        platform = item.get("platform") or {}
        if platform.get("architecture") == architecture and platform.get("os") == "linux":
            digest: str = item["digest"]
            if _DIGEST.fullmatch(digest):
                return digest
    raise ValueError(f"it is not there for {architecture}")
