from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.http.service import Service, data
from tests.waiting import PATIENCE


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("GET", "/api/v1", "/api/v1/"),
        ("GET", "/api/v1/build", "/api/v1/build/"),
        ("GET", "/api/v1/build?page=2&size=1", "/api/v1/build/?page=2&size=1"),
        ("POST", "/api/v1/namespace/x", "/api/v1/namespace/x/"),
        ("PUT", "/api/v1/namespace/x/metadata/", "/api/v1/namespace/x/metadata"),
        ("GET", "/api/v1/build/1/conda-lock.yml/", "/api/v1/build/1/conda-lock.yml"),
        ("GET", "/api/v1/build/1/lockfile", "/api/v1/build/1/lockfile/"),
        ("DELETE", "/api/v1/environment/a%3Fb/c%26d%C3%A9", "/api/v1/environment/a%3Fb/c%26d%C3%A9/"),
        ("GET", "/oauth_callback?code=a&state=b", "/oauth_callback/?code=a&state=b"),
        ("GET", "/metrics/", "/metrics"),
        ("GET", "/openapi.json/", "/openapi.json"),
    ],
)
def test_the_other_form_is_redirected(service: Service, method: str, path: str, target: str) -> None:
    with service.client() as client:
        answer = client.request(method, path)
        assert answer.status_code == 307
        assert answer.headers["location"] == f"http://127.0.0.1:{service.port}{target}"


def test_the_body_survives_the_redirect(service: Service) -> None:
    with service.client("admin") as client:
        body = {"specification": "name: slashed\nchannels: [forge]", "namespace": "default"}
        answer = client.post("/api/v1/specification", json=body, follow_redirects=True)
        assert data(answer)["build_id"] > 0


@pytest.mark.parametrize("path", ["/nothing", "/nothing/", "/api/v1/build/1/2/3", "/nothing//", "/api"])
def test_what_is_no_route_is_not_found(anonymous: httpx.Client, path: str) -> None:
    answer = anonymous.get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_a_slash_behind_the_last_value_is_taken_off(admin: httpx.Client) -> None:
    found = admin.get("/api/v1/build/?page=2/").json()
    assert (found["page"], found["size"]) == (2, 100)
    assert admin.get("/api/v1/build?status=COMPLETED/", follow_redirects=True).status_code == 200
    assert admin.get("/api/v1/build/?status=COMPLETED//").status_code == 422


def test_a_prefix_stands_before_everything(tmp_path: Path) -> None:
    with Service(tmp_path, url_prefix="/conda-store/") as service, service.client() as client:
        assert str(client.base_url).endswith("/conda-store/")
        assert client.get("/api/v1/").status_code == 200
        moved = client.get("/api/v1/build?page=1/")
        assert moved.headers["location"] == f"http://127.0.0.1:{service.port}/conda-store/api/v1/build/?page=1"
        assert client.get("/openapi.json").status_code == 200
        assert httpx.get(f"http://127.0.0.1:{service.port}/api/v1/", timeout=PATIENCE).status_code == 404
        assert httpx.get(f"http://127.0.0.1:{service.port}/", timeout=PATIENCE).headers["location"] == "/conda-store/"
        icon = client.get("/favicon.ico", follow_redirects=True)
        assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")
