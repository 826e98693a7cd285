"""Registries inside the network are not asked: not for a base image, not for a push, not by way of another."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conda_store.artifacts.oci.base_image import read_base_image
from conda_store.artifacts.oci.layouts import Image, push
from conda_store.artifacts.oci.remote import MANIFEST_TYPES, Remote, RemoteManifest
from conda_store.domain.addresses import ANY_ADDRESS, AddressPolicy
from conda_store.errors import ArtifactFailed

CLOSED, NAMED = AddressPolicy(()), AddressPolicy(("localhost",))
CONFIG = json.dumps({"config": {}}).encode()
DIGEST = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
MANIFEST = RemoteManifest(
    json.dumps({"config": {"digest": DIGEST, "size": len(CONFIG)}, "layers": []}).encode(), MANIFEST_TYPES[0]
)


class Registry:
    """One image; its blobs may be elsewhere (`blobs_at`), and so may its token service (`realm`)."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.blobs_at = ""
        self.realm = ""
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.requests.append(f"{self.command} {self.path}")
                if registry.realm:
                    self._answer(401, b"", {"WWW-Authenticate": f'Bearer realm="{registry.realm}",service="s"'})
                elif "/manifests/" in self.path:
                    self._answer(200, MANIFEST.content, {"Content-Type": MANIFEST.media_type})
                elif registry.blobs_at:
                    self._answer(307, b"", {"Location": f"{registry.blobs_at}{self.path}"})
                else:
                    self._answer(200, CONFIG, {})

            do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

            def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def port(self) -> int:
        return self.server.server_port

    def remote(self, addresses: AddressPolicy, host: str = "localhost") -> Remote:
        return Remote(f"http://{host}:{self.port}", "team/base", addresses=addresses)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def registry() -> Iterator[Registry]:
    found = Registry()
    yield found
    found.close()


def test_a_base_image_of_a_neighbour_is_not_pulled(registry: Registry, tmp_path: Path) -> None:
    reference = f"127.0.0.1:{registry.port}/team/base:1"
    with pytest.raises(ArtifactFailed, match=r"127\.0\.0\.1 lies inside") as caught:
        read_base_image(reference, "amd64", tmp_path, addresses=CLOSED)
    assert "allowed_inside" in (caught.value.hint or "")
    assert registry.requests == []
    assert read_base_image(reference, "amd64", tmp_path, addresses=AddressPolicy(("127.0.0.0/8",))).layers == ()


def test_a_base_image_is_kept_when_it_is_whole(registry: Registry, tmp_path: Path) -> None:
    """Until then it lies where the files of a maker are cleared away that was killed."""
    reference, kept, nowhere = f"127.0.0.1:{registry.port}/team/base:1", tmp_path / "kept", tmp_path / "no-directory"
    nowhere.touch()
    with pytest.raises(ArtifactFailed, match="cannot be pulled"):
        read_base_image(reference, "amd64", kept, addresses=ANY_ADDRESS, scratch=nowhere)
    assert not kept.exists()
    (tmp_path / "scratch").mkdir()
    read_base_image(reference, "amd64", kept, addresses=ANY_ADDRESS, scratch=tmp_path / "scratch")
    assert [(path / "index.json").exists() for path in kept.iterdir()] == [True]


def test_nothing_is_pushed_to_a_neighbour(registry: Registry) -> None:
    image = Image(MANIFEST, (MANIFEST,), ())
    with pytest.raises(ArtifactFailed, match="localhost lies inside"):
        push(image, lambda _: [b""], registry.remote(CLOSED), "1")
    assert registry.requests == []
    push(image, lambda _: [b""], registry.remote(NAMED), "1")
    assert registry.requests == ["PUT /v2/team/base/manifests/1"]


def test_a_registry_sends_nobody_on_to_a_neighbour(registry: Registry) -> None:
    neighbour = Registry()
    try:
        registry.blobs_at = f"http://127.0.0.1:{neighbour.port}"
        with pytest.raises(ArtifactFailed, match=r"127\.0\.0\.1 lies inside"):
            b"".join(registry.remote(NAMED).blob(DIGEST))
        assert neighbour.requests == []
        assert b"".join(registry.remote(AddressPolicy()).blob(DIGEST)) == CONFIG
    finally:
        neighbour.close()


def test_a_registry_names_no_neighbour_as_its_token_service(registry: Registry) -> None:
    neighbour = Registry()
    try:
        registry.realm = f"https://127.0.0.1:{neighbour.port}/token"
        with pytest.raises(ArtifactFailed, match=r"127\.0\.0\.1 lies inside"):
            registry.remote(NAMED).manifest("1")
        assert neighbour.requests == []
    finally:
        neighbour.close()
