"""Every route of the registry, and every error that it has, in the terms of the distribution specification."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from conda_store import errors
from conda_store.auth.opaque import new_token
from conda_store.auth.providers.base import Authentication
from conda_store.server.registry.answers import refusal_of
from tests.http.service import Service
from tests.http.test_registry import UNKNOWN, basic, bearer, code
from tests.waiting import PATIENCE

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
    with httpx.Client(
        base_url=f"http://127.0.0.1:{service.port}/v2", timeout=PATIENCE, headers=bearer("admin")
    ) as client:
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
        connection = HTTPConnection("127.0.0.1", client.base_url.port, timeout=PATIENCE)
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
        (errors.ChannelUnavailable, 503, "UNAVAILABLE"),
        (errors.ConfigurationError, 500, "UNKNOWN"),
        (errors.DiskFull, 500, "UNKNOWN"),
        (errors.CondaStoreError, 500, "UNKNOWN"),
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


# --- the token service ----------------------------------------------------------------------------------------


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("method", "headers", "body", "status", "expected"),
    [
        ("GET", basic("wrong"), b"", 401, "UNAUTHORIZED"),
        ("GET", basic(""), b"", 401, "UNAUTHORIZED"),
        ("GET", bearer("wrong"), b"", 401, "UNAUTHORIZED"),
        ("GET", {"Authorization": "Basic !!!"}, b"", 401, "UNAUTHORIZED"),
        ("GET", {"Authorization": "Digest x"}, b"", 401, "UNAUTHORIZED"),
        ("POST", FORM, b"grant_type=password&username=x&password=wrong", 401, "UNAUTHORIZED"),
        ("POST", FORM, b"grant_type=refresh_token&refresh_token=wrong", 401, "UNAUTHORIZED"),
        ("POST", FORM, b"password=%ff%00", 401, "UNAUTHORIZED"),
        ("POST", FORM | basic("wrong"), b"grant_type=password", 401, "UNAUTHORIZED"),
        ("POST", {"Authorization": "Basic !!!"}, b"", 401, "UNAUTHORIZED"),
        ("POST", FORM, b"password=" + b"x" * 2000, 413, "SIZE_INVALID"),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, b"", 403, "DENIED"),
        ("GET", {"Host": "elsewhere.example"}, b"", 400, "NAME_INVALID"),
        ("HEAD", {}, b"", 405, ""),
        ("PUT", {}, b"", 405, "UNSUPPORTED"),
        ("DELETE", {}, b"", 405, "UNSUPPORTED"),
        ("BREW", {}, b"", 405, "UNSUPPORTED"),
    ],
)
def test_errors_of_the_token_service(
    service: Service, method: str, headers: dict[str, str], body: bytes, status: int, expected: str
) -> None:
    answer = httpx.request(
        method, f"http://127.0.0.1:{service.port}/token", headers=headers, content=body, timeout=PATIENCE
    )
    if method == "HEAD":
        assert (answer.status_code, answer.content) == (status, b"")
    else:
        assert code(answer, status) == expected
    assert ("Allow" in answer.headers) is (status == 405)


def test_a_zero_byte_in_the_question_for_a_token(service: Service) -> None:
    assert code(httpx.get(f"http://127.0.0.1:{service.port}/token?scope=%00"), 400) == "NAME_INVALID"


class Guarded(Authentication):
    """Somebody else has to say who a token is of; `away`: and does not answer."""

    def recognise(self, token: str) -> None:
        if token == "away":
            raise errors.Unavailable("the provider does not answer", retry_after=7)


def test_tokens_that_somebody_else_has_to_know(tmp_path: Path) -> None:
    with Service(tmp_path, login=Guarded()) as service, service.client() as client:
        for path in ("/token", "/v2/"):
            away = client.get(path, headers=basic("away"))
            assert code(away, 503) == "UNAVAILABLE"
            assert away.json()["errors"][0]["message"] == "service unavailable: the provider does not answer"
            assert away.headers["Retry-After"] == "7"
        for _ in range(60):
            assert client.get("/token", headers=basic("wrong")).status_code in {401, 429}
        for path in ("/token", "/v2/"):
            often = client.get(path, headers=basic("wrong"))
            assert code(often, 429) == "TOOMANYREQUESTS"
            assert int(often.headers["Retry-After"]) > 0


# --- what breaks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ("image_manifest", "/v2/default/open/manifests/latest"),
        ("image_manifest", f"/v2/default/open/manifests/{UNKNOWN}"),
        ("image_blob", f"/v2/default/open/blobs/{UNKNOWN}"),
        ("environment", "/v2/default/open/tags/list"),
        ("environment", f"/v2/default/open/referrers/{UNKNOWN}"),
        ("token", "/token"),
        ("token", "/v2/"),
    ],
)
def test_a_crash_is_told_in_the_same_form_and_nothing_of_it(tmp_path: Path, table: str, path: str) -> None:
    with Service(tmp_path) as service, service.client() as client:
        service.build("default", "open", "zlib")
        with service.context.database.write() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO lost")
        headers = {"X-Request-ID": "abc-1", **(basic(new_token()) if table == "token" else {})}
        answer = client.get(path, headers=headers)
        assert code(answer, 500) == "UNKNOWN"
        assert answer.json()["errors"][0]["message"] == "unknown error: the server failed; its log says why"
        assert answer.headers["X-Request-ID"] == "abc-1"
        head = client.head(path, headers=headers)
        assert (head.status_code, head.content) == (405 if path == "/token" else 500, b"")
        assert client.get("/api/v1/").status_code == 200


def test_what_is_not_of_the_registry_keeps_its_own_form(client: httpx.Client) -> None:
    for path in ("/api/v1/nothing/", "/v2x/a", "/tokens", "/token/x"):
        assert set(client.get(client.base_url.copy_with(path=path)).json()) == {"detail"}
