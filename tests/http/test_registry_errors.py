"""Every route of the registry, and every error that it has, in the terms of the distribution specification."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection

import httpx
import pytest

from conda_store import errors
from conda_store.server.registry.answers import refusal_of
from tests.http.service import Service
from tests.http.test_registry import UNKNOWN, bearer, code

ROUTES = [
    "/",
    "/default/open/manifests/latest",
    f"/default/open/manifests/{UNKNOWN}",
    f"/default/open/blobs/{UNKNOWN}",
    "/default/open/tags/list",
    f"/default/open/referrers/{UNKNOWN}",
    "/default/open/blobs/uploads/",
    "/default/open/blobs/uploads/1",
    "/_catalog",
    "/default/nowhere/manifests/latest",
]
# what there is below a name
PARTS = ["manifests/latest", f"manifests/{UNKNOWN}", f"blobs/{UNKNOWN}", "tags/list", f"referrers/{UNKNOWN}"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("errors")
    with Service(directory, packing_wait=0.05, max_body_size=1000, allowed_hosts=("127.0.0.1",)) as service:
        service.build("default", "open", "zlib")
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}/v2", timeout=20, headers=bearer("admin")) as client:
        yield client


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "BREW"])
@pytest.mark.parametrize("path", ROUTES)
def test_methods_that_there_are_not(client: httpx.Client, method: str, path: str) -> None:
    response = client.request(method, path)
    assert code(response, 405) == "UNSUPPORTED"
    # RFC 9110, 15.5.6
    assert {"GET", "HEAD"} <= {name.strip() for name in response.headers["Allow"].split(",")}


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("nowhere/nothing", 404, "NAME_UNKNOWN"),
        ("default/Open", 404, "NAME_UNKNOWN"),
        ("DEFAULT/open", 404, "NAME_UNKNOWN"),
        ("default/open/more", 404, "NAME_UNKNOWN"),
        ("default/open/", 404, "NAME_UNKNOWN"),
        ("/default/open", 404, "NAME_UNKNOWN"),
        ("default//open", 404, "NAME_UNKNOWN"),
        ("default/op%20en", 404, "NAME_UNKNOWN"),
        ("default/open%2fmore", 404, "NAME_UNKNOWN"),
        ("default/%ff%fe", 404, "NAME_UNKNOWN"),
        ("default/%c3%bc", 404, "NAME_UNKNOWN"),
        ("default/%2a", 404, "NAME_UNKNOWN"),
        ("%2a/%2a", 404, "NAME_UNKNOWN"),
        ("default/" + "n" * 5000, 404, "NAME_UNKNOWN"),
        ("short", 405, "UNSUPPORTED"),
        ("%2e%2e", 405, "UNSUPPORTED"),
        ("default/op%0aen", 400, "NAME_INVALID"),
        ("default%0d%0a/open", 400, "NAME_INVALID"),
        ("default/open%00", 400, "NAME_INVALID"),
        ("default/%1b%5bm", 400, "NAME_INVALID"),
        ("conda-store-dynamic/", 400, "NAME_INVALID"),
        ("conda-store-dynamic/a//b", 400, "NAME_INVALID"),
        ("conda-store-dynamic/osx-64/a", 400, "NAME_INVALID"),
    ],
)
@pytest.mark.parametrize("part", PARTS)
def test_names_of_no_image(client: httpx.Client, name: str, part: str, status: int, expected: str) -> None:
    refused(client, f"/v2/{name}/{part}", status, expected)


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "g" * 64, "SHA256:" + "0" * 64,
        "sha256:" + "A" * 64, "sha512:" + "0" * 128, "md5:" + "0" * 32, "a:b:c", ":", "sha256:%2e%2e",
        "sha256:" + "%d9%a0" * 64, "sha256:" + "0" * 64 + "%20",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["blobs", "manifests", "referrers"])
def test_digests_that_are_none(client: httpx.Client, kind: str, digest: str) -> None:
    refused(client, f"/v2/default/open/{kind}/{digest}", 400, "DIGEST_INVALID")


@pytest.mark.parametrize("kind", ["blobs", "manifests", "referrers"])
def test_a_line_end_ends_no_digest(client: httpx.Client, kind: str) -> None:
    refused(client, f"/v2/default/open/{kind}/{UNKNOWN}%0a", 400, "NAME_INVALID")
    refused(client, "/v2/default/open/tags/list%0a", 400, "NAME_INVALID")


@pytest.mark.parametrize(
    "tag",
    ["nothing", "%2e%2e", "-1", "0", "9" * 18, "9" * 30, "t" * 5000, "Latest", "latest%20", "%f0%9f%90%8d", "f" * 64],
)
def test_tags_that_there_are_not(client: httpx.Client, tag: str) -> None:
    refused(client, f"/v2/default/open/manifests/{tag}", 404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize("number", ["-1", "", "x", "1.5", "%2b1", "%d9%a1", "1" * 10, "%201"])
def test_numbers_that_are_none(client: httpx.Client, number: str) -> None:
    refused(client, f"/v2/default/open/tags/list?n={number}", 400, "PAGINATION_NUMBER_INVALID")


def refused(client: httpx.Client, path: str, status: int, expected: str) -> None:
    """The error, for GET and HEAD alike; the path goes out as it is written here."""
    answers = {}
    for method in ("GET", "HEAD"):
        connection = HTTPConnection("127.0.0.1", client.base_url.port, timeout=20)
        connection.request(method, path, headers={"Authorization": client.headers["Authorization"]})
        answer = connection.getresponse()
        answers[method] = httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())
        connection.close()
    assert code(answers["GET"], status) == expected
    assert (answers["HEAD"].status_code, answers["HEAD"].content) == (status, b"")
    assert answers["HEAD"].headers["Content-Length"] == str(len(answers["GET"].content))


def test_what_is_refused_before_any_route_is_told_in_the_same_form(client: httpx.Client) -> None:
    host = client.get("/default/open/tags/list", headers={"Host": "elsewhere.example"})
    assert code(host, 400) == "NAME_INVALID"
    assert "'elsewhere.example'" in host.json()["errors"][0]["message"]
    large = client.post("/default/open/blobs/uploads/", content=b"x" * 2000)
    assert code(large, 413) == "SIZE_INVALID"
    assert code(client.get("/default/open/tags/list?last=%00"), 400) == "NAME_INVALID"
    page = {"Authorization": "", "Origin": "https://elsewhere.example"}
    assert code(client.put("/default/open/manifests/latest", headers=page), 403) == "DENIED"


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (errors.Unavailable, 503, "UNAVAILABLE"),
        (errors.StorageFailed, 503, "UNAVAILABLE"),
        (errors.TooManyRequests, 429, "TOOMANYREQUESTS"),
        (errors.Forbidden, 403, "DENIED"),
        (errors.PolicyViolation, 403, "DENIED"),
        (errors.QuotaExceeded, 403, "DENIED"),
        (errors.InvalidInput, 400, "NAME_INVALID"),
        (errors.InvalidSpecification, 400, "NAME_INVALID"),
        (errors.NotFound, 404, "MANIFEST_UNKNOWN"),
        (errors.Conflict, 404, "MANIFEST_UNKNOWN"),
        (errors.ArtifactFailed, 404, "MANIFEST_UNKNOWN"),
    ],
)
def test_errors_of_services_in_the_words_of_the_specification(
    kind: type[errors.CondaStoreError], status: int, expected: str
) -> None:
    answer = refusal_of(kind("what failed")).answer()
    assert code(httpx.Response(answer.status_code, headers=answer.headers, content=answer.body), status) == expected
    assert ("retry-after" in answer.headers) is (status in {429, 503})
    # whoever may not is not told why
    assert (b"what failed" in answer.body) is (kind is not errors.Forbidden)


def test_what_policies_and_quotas_forbid_is_denied_with_the_reason(service: Service, client: httpx.Client) -> None:
    before = service.build_ids()
    with service.client("admin") as admin:
        values = {"conda_forbidden_packages": ["evil"]}
        assert admin.put("/api/v1/setting/conda-store-dynamic/", json=values).status_code == 200
        assert admin.put("/api/v1/setting/default/", json={"quota_on_demand_images": 0}).status_code == 200
    for name, reason in (("evil/b", "evil"), ("good/b", "namespace default is used up: 0 of 0 images")):
        answer = client.get(f"/conda-store-dynamic/{name}/manifests/latest")
        assert code(answer, 403) == "DENIED"
        assert reason in answer.json()["errors"][0]["message"]
    assert service.build_ids() == before


def test_what_is_not_of_the_registry_keeps_its_own_form(client: httpx.Client) -> None:
    for path in ("/api/v1/nothing/", "/v2x/a"):
        assert set(client.get(client.base_url.copy_with(path=path)).json()) == {"detail"}
