from __future__ import annotations

import re

import httpx


def test_the_document_describes_every_route(anonymous: httpx.Client) -> None:
    document = anonymous.get("/openapi.json").json()
    assert document["info"]["title"] == "conda-store"
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    identities = [operation["operationId"] for operation in operations]
    assert len(identities) == len(set(identities))
    for operation in operations:
        assert operation["tags"]
        success = operation["responses"].get("200") or operation["responses"].get("307")
        assert success is not None
    build = document["paths"]["/api/v1/build/{build_id}/"]["get"]["responses"]
    assert {"200", "404", "422"} <= set(build)
    assert build["404"]["content"]["application/json"]["schema"]["$ref"].endswith("/Failure")


def test_the_page_of_routes_loads_nothing_from_elsewhere(anonymous: httpx.Client) -> None:
    for path in ("/docs", "/redoc"):
        answer = anonymous.get(path)
        assert answer.headers["content-type"].startswith("text/html")
        assert "/api/v1/build/{build_id}/" in answer.text
        assert not re.search(r"https?://|<script|src=", answer.text)
        assert "<code>desc</code> for descending" in answer.text
        assert "`" not in answer.text
