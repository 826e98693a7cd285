from __future__ import annotations

import httpx
import pytest

from conda_store.services.packages import ensure_channels
from tests.http.service import Service, data


def test_channels_are_listed_to_everybody(service: Service, anonymous: httpx.Client) -> None:
    ensure_channels(service.context)
    service.build("channels", "one", "zlib")
    body = anonymous.get("/api/v1/channel/").json()
    assert list(body) == ["status", "data", "message", "page", "size", "count"]
    assert [list(row) for row in body["data"]] == [["id", "name", "last_update"]] * 2
    names = ["https://conda.anaconda.org/forge", "https://conda.example/forge"]
    assert [row["name"] for row in body["data"]] == names
    assert [row["name"] for row in data(anonymous.get("/api/v1/channel/?order=desc&size=1"))] == names[1:]


def test_packages_of_the_index(anonymous: httpx.Client) -> None:
    body = anonymous.get("/api/v1/package/", params={"size": 2}).json()
    assert (body["page"], body["size"], body["count"]) == (1, 2, 3)
    row = body["data"][0]
    assert list(row) == ["id", "channel", "license", "name", "version", "summary"]
    assert list(row["channel"]) == ["id", "name", "last_update"]
    assert (row["channel"]["name"], row["channel"]["last_update"]) == ("https://conda.example/forge", None)
    assert (row["license"], row["name"], row["version"], row["summary"]) == ("Zlib", "zlib", "1.1", "compression")


def test_the_question_reaches_the_index(service: Service, anonymous: httpx.Client) -> None:
    parameters = "search=zlib&exact=true&distinct_on=version&page=1&order=desc&sort_by=version&sort_by=other&build=py"
    assert anonymous.get(f"/api/v1/package/?{parameters}").status_code == 200
    asked = service.channel.asked
    assert asked is not None
    assert asked.channels == ("https://conda.example/forge",)
    assert (asked.search, asked.exact, asked.build, asked.distinct_on) == ("zlib", "true", "py", ("version",))
    assert (asked.sort_by[0], asked.order, asked.page, asked.size) == ("version", "desc", 1, 100)


@pytest.mark.parametrize("parameters", [{"distinct_on": "x"}, {"page": 0}, {"size": -1}])
def test_impossible_questions_are_refused(anonymous: httpx.Client, parameters: dict[str, str]) -> None:
    assert anonymous.get("/api/v1/package/", params=parameters).status_code == 422
