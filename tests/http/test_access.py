"""Who may do what, route by route: unseen is 404, seen but not allowed is 403."""

from __future__ import annotations

import httpx
import pytest

from tests.http.service import Service

ROLES = (None, "stranger", "viewer", "developer", "owner", "admin")
SPECIFICATION = {"specification": "name: one\nchannels: [forge]", "namespace": "team"}
ROLE = {"other_namespace": "team", "role": "viewer"}
CREDENTIAL = {"host": "h", "username": "u", "secret": "s"}

# status for: anonymous, stranger, viewer, developer, owner (admin of the namespace), admin
MATRIX: list[tuple[str, str, object, tuple[int, ...]]] = [
    ("GET", "/api/v1/", None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/api/v1/permission/", None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/api/v1/usage/", None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/api/v1/namespace/", None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/api/v1/environment/", None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/api/v2/environment/", None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/api/v1/build/", None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/api/v1/channel/", None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/api/v1/package/", None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/api/v1/specification/", None, (200, 200, 200, 200, 200, 200)),
    ("GET", "/api/v1/specification/?conda=zlib", None, (403, 200, 403, 200, 200, 200)),
    ("GET", "/api/v1/namespace/team/", None, (404, 404, 200, 200, 200, 200)),
    ("PUT", "/api/v1/namespace/team/metadata", {}, (404, 404, 403, 403, 200, 200)),
    ("PUT", "/api/v1/namespace/team/", {}, (404, 404, 403, 403, 200, 200)),
    ("GET", "/api/v1/namespace/team/roles", None, (404, 404, 200, 200, 200, 200)),
    ("DELETE", "/api/v1/namespace/team/roles", None, (404, 404, 403, 403, 200, 200)),
    ("POST", "/api/v1/namespace/team/role", ROLE, (404, 404, 403, 403, 200, 409)),
    ("PUT", "/api/v1/namespace/team/role", ROLE, (404, 404, 403, 403, 200, 200)),
    ("GET", "/api/v1/namespace/team/role?other_namespace=team", None, (404, 404, 200, 200, 200, 200)),
    ("DELETE", "/api/v1/namespace/team/role", ROLE, (404, 404, 403, 403, 200, 200)),
    ("POST", "/api/v1/namespace/team/", None, (403, 403, 403, 403, 409, 409)),
    ("GET", "/api/v1/environment/team/one/", None, (404, 404, 200, 200, 200, 200)),
    ("PUT", "/api/v1/environment/team/one/", {}, (404, 404, 403, 200, 200, 200)),
    ("GET", "/api/v1/environment/team/one/lockfile/", None, (404, 404, 307, 307, 307, 307)),
    ("POST", "/api/v1/specification/", SPECIFICATION, (403, 403, 403, 200, 200, 200)),
    ("GET", "/api/v1/build/{build}/", None, (404, 404, 200, 200, 200, 200)),
    ("GET", "/api/v1/build/{build}/packages/", None, (404, 404, 200, 200, 200, 200)),
    ("GET", "/api/v1/build/{build}/logs/", None, (404, 404, 307, 307, 307, 307)),
    ("GET", "/api/v1/build/{build}/yaml/", None, (404, 404, 307, 307, 307, 307)),
    ("GET", "/api/v1/build/{build}/lockfile/", None, (404, 404, 307, 307, 307, 307)),
    ("GET", "/api/v1/build/{build}/lockfile/?format=explicit", None, (404, 404, 200, 200, 200, 200)),
    ("GET", "/api/v1/build/{build}/docker/", None, (404, 404, 400, 400, 400, 400)),
    ("GET", "/api/v1/build/{build}/events/", None, (404, 404, 200, 200, 200, 200)),
    ("PUT", "/api/v1/build/{build}/", None, (404, 404, 403, 200, 200, 200)),
    ("PUT", "/api/v1/build/{build}/cancel/", None, (404, 404, 403, 409, 409, 409)),
    ("GET", "/api/v1/setting/team/", None, (404, 404, 403, 200, 200, 200)),
    ("PUT", "/api/v1/setting/team/", {}, (404, 404, 403, 403, 200, 200)),
    ("GET", "/api/v1/setting/team/one/", None, (404, 404, 403, 200, 200, 200)),
    ("PUT", "/api/v1/setting/team/one/", {}, (404, 404, 403, 403, 200, 200)),
    ("GET", "/api/v1/namespace/team/policy/", None, (404, 404, 200, 200, 200, 200)),
    ("GET", "/api/v1/environment/team/one/policy/", None, (404, 404, 200, 200, 200, 200)),
    ("GET", "/api/v1/namespace/team/quota/", None, (404, 404, 200, 200, 200, 200)),
    ("GET", "/api/v1/namespace/team/credential/", None, (404, 404, 403, 200, 200, 200)),
    ("PUT", "/api/v1/namespace/team/credential/", CREDENTIAL, (404, 404, 403, 403, 200, 200)),
    ("DELETE", "/api/v1/namespace/team/credential/?host=h", None, (404, 404, 403, 403, 200, 404)),
    ("GET", "/api/v1/credential/", None, (403, 403, 403, 403, 403, 200)),
    ("PUT", "/api/v1/credential/", CREDENTIAL, (403, 403, 403, 403, 403, 200)),
    ("DELETE", "/api/v1/credential/?host=h", None, (403, 403, 403, 403, 403, 200)),
    ("POST", "/api/v1/credential/seal/", None, (403, 403, 403, 403, 403, 200)),
    ("GET", "/api/v1/setting/", None, (403, 403, 403, 403, 403, 200)),
    ("PUT", "/api/v1/setting/", {}, (403, 403, 403, 403, 403, 200)),
    ("POST", "/api/v1/token/", None, (401, 200, 200, 200, 200, 200)),
    ("GET", "/api/v1/token/", None, (401, 200, 200, 200, 200, 200)),
    ("GET", "/api/v1/token/?everybody=true", None, (401, 403, 403, 403, 403, 200)),
    ("DELETE", "/api/v1/token/{token_id}/", None, (401, 404, 404, 404, 404, 404)),
    # what deletes comes last, and only those who may not are asked first
    ("DELETE", "/api/v1/build/{build}/", None, (404, 404, 403, 403, 200, 200)),
    ("DELETE", "/api/v1/environment/team/one/", None, (404, 404, 403, 403, 200, 404)),
    ("DELETE", "/api/v1/namespace/team/", None, (404, 404, 403, 403, 200, 404)),
]


@pytest.fixture(scope="module")
def build_id(service: Service) -> int:
    return service.build("team", "one", "zlib")


@pytest.mark.parametrize(("method", "path", "body", "expected"), MATRIX, ids=lambda value: str(value)[:60])
def test_roles(
    service: Service, build_id: int, method: str, path: str, body: object, expected: tuple[int, ...]
) -> None:
    found = []
    for role in ROLES:
        with service.client(role) as client:
            answer: httpx.Response = client.request(method, path.format(build=build_id, token_id=2**60), json=body)
            found.append(answer.status_code)
    assert tuple(found) == expected


def test_the_matrix_is_complete(service: Service) -> None:
    with service.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    documented = {
        (method.upper(), path.replace("{namespace}/{name}", "team/one").replace("{build_id}", "{build}"))
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/api/")
    }
    documented = {(method, path.replace("{namespace}", "team")) for method, path in documented}
    documented = {(method, path.replace("{environment_name}", "one")) for method, path in documented}
    tried = {(method, path.partition("?")[0]) for method, path, _, _ in MATRIX}
    elsewhere = {
        ("GET", "/api/v1/environment/{name}/"),
        ("POST", "/api/v1/environment/"),
        ("GET", "/api/v1/specification/{sha256}/"),
        ("GET", "/api/v1/build/{build}/archive/"),
        ("GET", "/api/v1/build/{build}/installer/"),
    }
    sharing = ("/api/v1/share/", "/api/v1/access/", "/api/v1/permission/explain/")
    assert {row for row in documented - tried if not row[1].startswith(sharing)} == elsewhere
