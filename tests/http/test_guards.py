from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.http.service import Service, refused


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    options = {
        "allowed_hosts": ("localhost", "127.0.0.1", "[::1]", "*.example.org"),
        "cors_allow_origins": ("https://hub.example.org",),
        "enable_metrics": False,
    }
    with Service(tmp_path_factory.mktemp("g"), **options) as service:
        yield service


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]", "[::1]:80", "LOCALHOST", "store.example.org"]
)
def test_own_names_are_answered(anonymous: httpx.Client, host: str) -> None:
    assert anonymous.get("/api/v1/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example.com", "localhost.evil.com", "example.org", "1.2.3.4", "[::2]", ""])
def test_other_names_are_refused(anonymous: httpx.Client, host: str) -> None:
    assert "does not answer to the name" in refused(anonymous.get("/api/v1/", headers={"Host": host}), 400)


def test_only_named_origins_may_read(anonymous: httpx.Client) -> None:
    friend = anonymous.get("/api/v1/", headers={"Origin": "https://hub.example.org"})
    assert friend.headers["access-control-allow-origin"] == "https://hub.example.org"
    assert friend.headers["access-control-allow-credentials"] == "true"
    foe = anonymous.get("/api/v1/", headers={"Origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in foe.headers


def test_without_a_configuration_there_is_no_cors(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Service(tmp_path_factory.mktemp("c")) as service, service.client() as client:
        answer = client.get("/api/v1/", headers={"Origin": "https://evil.example.com"})
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_what_is_switched_off_is_not_there(anonymous: httpx.Client) -> None:
    assert anonymous.get("/metrics").status_code == 404


def test_every_answer_has_an_id(anonymous: httpx.Client) -> None:
    assert anonymous.get("/api/v1/", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    made = anonymous.get("/api/v1/", headers={"X-Request-ID": "a b"}).headers["x-request-id"]
    assert made != "a b" and len(made) == 16


def test_a_crash_tells_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Service(tmp_path_factory.mktemp("x")) as service, service.client("admin") as client:
        with service.context.database.write() as connection:
            connection.exec_driver_sql("DROP TABLE build_conda_package")
        answer = client.get("/api/v1/build/?packages=zlib")
        assert (answer.status_code, answer.text) == (500, "Internal Server Error")
        assert answer.headers["content-type"].startswith("text/plain")
        assert client.get("/api/v1/").status_code == 200
