"""Every route is in the documentation, and what is there is a route."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import FastAPI
from starlette.routing import Route

from conda_store.builder.fake import FakeBuilder
from conda_store.builder.package_index import PackageIndex
from conda_store.db.engine import Database
from conda_store.domain.deployment import Deployment
from conda_store.server.app import ROUTERS, create_app
from conda_store.services.context import Context
from conda_store.storage import memory_blobs

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "routes.md"


def made_app(directory: Path) -> FastAPI:
    database = Database(f"sqlite:///{directory}/conda-store.sqlite")
    packages = PackageIndex(directory / "index")
    return create_app(Context(database, memory_blobs(), FakeBuilder(), packages, Deployment(directory)))


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    routes = [*app.routes, *(route for router in ROUTERS for route in router.routes)]
    return {
        (method, re.sub(r":\w+}", "}", route.path))
        for route in routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method not in {"HEAD", "OPTIONS"}
    }


def test_every_route_is_documented_and_nothing_else(tmp_path: Path) -> None:
    documented = set(re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`?]*)`", PAGE.read_text()))
    served = routes_of(made_app(tmp_path))
    assert len(served) > 40
    assert served - documented == set()
    assert documented - served == set()
