"""How long lists take: 10,000 environments, 100,000 builds, a real server over loopback.

    python -m benchmarks.lists [--environments N] [--builds-each N] [--requests N] [--database FILE]

Prints the median and the 95th percentile of each list in milliseconds, and exits 1 where the latter is above 20 ms.
The database is made once and kept.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import structlog
import uvicorn
from sqlalchemy import Connection, insert, select

from conda_store.artifacts.oci.documents import ManifestForm
from conda_store.builder.fake import FakeBuilder
from conda_store.builder.package_index.model import IndexedChannel, PackagePage, PackageQuery
from conda_store.db import migrate
from conda_store.db.engine import Database
from conda_store.db.tables import (
    build,
    build_artifact,
    build_conda_package,
    conda_channel,
    conda_package,
    environment,
    environment_package,
    image_manifest,
    namespace,
    package_version,
    specification,
)
from conda_store.domain.artifact import ArtifactState, ArtifactType
from conda_store.domain.build import BuildStatus
from conda_store.domain.deployment import Deployment
from conda_store.server.app import create_app
from conda_store.server.options import ServerOptions
from conda_store.services.context import Context
from conda_store.storage import memory_blobs

LIMIT = 20.0
ENVIRONMENTS = 10_000
BUILDS_EACH = 10
DATABASE = Path(".cache/bench-lists.sqlite")
NAMESPACES = 100
PACKAGES = 5000
PACKAGES_EACH = 50
# builds that have an image
IMAGES = 200
# of a package that every environment has
POPULAR_VERSIONS = 20
START = datetime(2026, 1, 1, tzinfo=UTC)
ADMIN = {"Authorization": "Bearer admin"}
TEAM = {"Authorization": "Bearer team"}

LISTS: list[tuple[str, dict[str, str], str]] = [
    ("namespaces", ADMIN, "/api/v1/namespace/?size=100"),
    ("environments", ADMIN, "/api/v1/environment/?page=1&size=100"),
    ("environments, last page", ADMIN, "/api/v1/environment/?page={last_environments}&size=100"),
    ("environments of a team", TEAM, "/api/v1/environment/?page=1&size=100"),
    ("environments, search", ADMIN, "/api/v1/environment/?page=1&size=100&search=env-77"),
    ("environments, namespace", ADMIN, "/api/v1/environment/?page=1&size=100&namespace=team-42"),
    ("environments, status", ADMIN, "/api/v1/environment/?page=1&size=100&status=FAILED"),
    ("environments, package", ADMIN, "/api/v1/environment/?page=1&size=100&packages=package-17"),
    ("environments, artifact", ADMIN, "/api/v1/environment/?page=1&size=100&artifact=CONDA_PACK"),
    ("environments, rare artifact", ADMIN, "/api/v1/environment/?page=1&size=100&artifact=DOCKER_BLOB"),
    ("environments, descending", ADMIN, "/api/v1/environment/?page=1&size=100&order=desc&sort_by=name"),
    ("environments v2", ADMIN, "/api/v2/environment/?limit=100"),
    ("environments v2, by name", ADMIN, "/api/v2/environment/?limit=100&sort_by=namespace,name&cursor={cursor}"),
    ("environments v2 of a team", TEAM, "/api/v2/environment/?limit=100&sort_by=namespace,name"),
    ("builds", ADMIN, "/api/v1/build/?size=100"),
    ("builds, newest", ADMIN, "/api/v1/build/?size=100&order=desc&sort_by=scheduled_on"),
    ("builds, last page", ADMIN, "/api/v1/build/?size=100&page={last_builds}"),
    ("builds of a team", TEAM, "/api/v1/build/?size=100"),
    ("builds of an environment", ADMIN, "/api/v1/build/?namespace=team-42&name=env-4242&order=desc"),
    ("builds, status", ADMIN, "/api/v1/build/?size=100&status=FAILED"),
    ("builds, package", ADMIN, "/api/v1/build/?size=100&packages=package-17"),
    ("builds, artifact", ADMIN, "/api/v1/build/?size=100&artifact=CONDA_PACK"),
    ("builds, rare artifact", ADMIN, "/api/v1/build/?size=100&artifact=DOCKER_BLOB"),
    ("packages of a build", ADMIN, "/api/v1/build/{build}/packages/?size=100"),
    ("specifications", ADMIN, "/api/v1/specification/?size=100"),
    ("channels", ADMIN, "/api/v1/channel/?size=100"),
    ("usage", ADMIN, "/api/v1/usage/"),
    ("one build", ADMIN, "/api/v1/build/{build}/"),
    ("first page", ADMIN, "/"),
    ("first page of a team", TEAM, "/"),
    ("first page, last of them", ADMIN, "/?page={last_pages}"),
    ("page, search for a name", ADMIN, "/?search=env-77"),
    ("page, search for a package", ADMIN, "/?search=package-17"),
    ("page, popular package", ADMIN, "/?search=popular"),
    ("page, version of a package", ADMIN, "/?search=popular+2.4"),
    ("page, versions of a package", ADMIN, "/?search=popular%3E%3D2.10"),
    ("page, nothing found", ADMIN, "/?search=nothing-like-it"),
    ("page of an environment", ADMIN, "/environment/team-42/env-4242/"),
    ("page of the system", ADMIN, "/system/"),
]  # fmt: skip


class NoPackages:
    """There is no index here."""

    def search(self, query: PackageQuery) -> PackagePage:
        return PackagePage((), 0)

    async def refresh(self, channels: Sequence[str], platforms: Sequence[str]) -> Sequence[IndexedChannel]:
        return ()

    def channels(self) -> Sequence[IndexedChannel]:
        return ()


def fill(database: Database, environments: int, builds_each: int) -> None:
    """Made-up rows, the same each time."""
    chance = random.Random(1)
    with database.write() as connection:
        _many(connection, namespace, ({"id": n + 1, "name": f"team-{n}", "metadata_": {}} for n in range(NAMESPACES)))
        _many(connection, conda_channel, [{"id": 1, "name": "https://conda.example/forge"}])
        _many(connection, conda_package, (_package(n) for n in range(PACKAGES)))
        _many(connection, conda_package, (_popular(n) for n in range(POPULAR_VERSIONS)))
        _many(connection, specification, (_specification(n) for n in range(environments)))
        _many(connection, environment, (_environment(n, builds_each) for n in range(environments)))
        _many(connection, build, (_build(n, builds_each, chance) for n in range(environments * builds_each)))
        _many(connection, build_artifact, _artifacts(environments * builds_each))
        _many(connection, build_conda_package, _contents(environments, builds_each, chance))
        connection.execute(
            insert(package_version).from_select(
                ["id", "name", "version"], select(conda_package.c.id, conda_package.c.name, conda_package.c.version)
            )
        )
        held = select(build_conda_package.c.conda_package_id, environment.c.id).join(
            environment, environment.c.current_build_id == build_conda_package.c.build_id
        )
        connection.execute(insert(environment_package).from_select(["package_version_id", "environment_id"], held))
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA optimize=0x10002")
        connection.commit()


def _many(connection: Connection, table: Any, rows: Any) -> None:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == 5000:
            connection.execute(insert(table), batch)
            batch = []
    if batch:
        connection.execute(insert(table), batch)


def _package(number: int) -> dict[str, Any]:
    return {
        "id": number + 1, "channel_id": 1, "name": f"package-{number}", "version": "1.0", "build": "0",
        "subdir": "noarch", "license": "BSD-3-Clause", "size": 1000, "identity": f"{number:064x}",
    }  # fmt: skip


def _popular(number: int) -> dict[str, Any]:
    return _package(PACKAGES + number) | {"name": "popular", "version": f"2.{number}"}


def _specification(number: int) -> dict[str, Any]:
    spec = {"channels": ["forge"], "dependencies": [f"package-{n}" for n in range(10)], "description": "",
            "name": f"env-{number}", "prefix": None, "variables": None}  # fmt: skip
    return {"id": number + 1, "name": f"env-{number}", "spec": spec, "sha256": f"{number:064x}", "created_on": START,
            "is_lockfile": False}  # fmt: skip


def _environment(number: int, builds_each: int) -> dict[str, Any]:
    # builds are spread over the environments, as they come in in life: the last of each is in the last round
    return {"id": number + 1, "namespace_id": number % NAMESPACES + 1, "name": f"env-{number}",
            "current_build_id": _last_build(number, builds_each), "description": f"number {number}",
            "search_text": f"team-{number % NAMESPACES}/env-{number} number {number}"}  # fmt: skip


_ENVIRONMENTS = 0


def _last_build(number: int, builds_each: int) -> int:
    return (builds_each - 1) * _ENVIRONMENTS + number + 1


def _build(number: int, builds_each: int, chance: random.Random) -> dict[str, Any]:
    of = number % _ENVIRONMENTS
    moment = START + timedelta(seconds=number * 60)
    status = BuildStatus.FAILED if chance.random() < 0.05 else BuildStatus.COMPLETED
    return {
        "id": number + 1, "specification_id": of + 1, "environment_id": of + 1, "status": status, "size": 1_000_000,
        "scheduled_on": moment, "started_on": moment, "ended_on": moment + timedelta(seconds=9),
        "build_key_version": 2, "key": f"{of:08x}-{int(moment.timestamp())}-{number + 1}-env-{of}",
        "progress": {"phase": "ended"},
    }  # fmt: skip


def _artifacts(builds: int) -> Iterator[dict[str, Any]]:
    for number in range(builds):
        for artifact in (ArtifactType.LOGS, ArtifactType.LOCKFILE, ArtifactType.YAML, ArtifactType.CONDA_PACK):
            yield {"build_id": number + 1, "artifact_type": artifact, "key": f"{artifact}/{number}",
                   "state": ArtifactState.READY, "size": 1000}  # fmt: skip


def _manifests(builds: int) -> Iterator[dict[str, Any]]:
    for number in range(0, builds, max(builds // IMAGES, 1)):
        for form in ManifestForm:
            yield {"build_id": number + 1, "media_type": form.value, "platform": "linux-64", "compression": "gzip",
                   "digest": f"{number:064x}", "content": bytes(20_000)}  # fmt: skip


def _contents(environments: int, builds_each: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Of the last build of each environment."""
    for number in range(environments):
        for package_id in sorted(chance.sample(range(1, PACKAGES + 1), PACKAGES_EACH)):
            yield {"build_id": _last_build(number, builds_each), "conda_package_id": package_id}
        popular = PACKAGES + 1 + number % POPULAR_VERSIONS
        for round_ in range(builds_each):
            yield {"build_id": round_ * environments + number + 1, "conda_package_id": popular}


def filled(path: Path, environments: int = ENVIRONMENTS, builds_each: int = BUILDS_EACH) -> Database:
    """The database at a path, which is made where it is not there yet."""
    global _ENVIRONMENTS
    _ENVIRONMENTS = environments
    is_new = not path.exists()
    database = Database(f"sqlite:///{path}")
    migrate.upgrade(database)
    if is_new:
        fill(database, environments, builds_each)
    with database.write() as connection:
        if connection.execute(select(image_manifest.c.build_id).limit(1)).first() is None:
            _many(connection, image_manifest, _manifests(environments * builds_each))
    return database


@contextmanager
def served(database: Database) -> Iterator[str]:
    context = Context(database, memory_blobs(), FakeBuilder(), NoPackages(), Deployment(Path.cwd()))
    tokens = {"admin": {"role_bindings": {"*/*": ["admin"]}}, "team": {"role_bindings": {"team-4*/*": ["viewer"]}}}
    options = ServerOptions.of(tokens=tokens, unauthenticated_role_bindings={}, authenticated_role_bindings={})
    # the protocol is named, else asyncio leaves TCP_NODELAY off
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(context, options), log_config=None, access_log=False))
    gc.freeze()  # as `conda-store serve` does
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def measure(client: httpx.Client, headers: dict[str, str], path: str, requests: int) -> dict[str, float]:
    """Milliseconds as the client sees them, and of the processor for server and client together."""
    times: list[float] = []
    for _ in range(requests + 3):
        if len(times) == 3:
            busy = time.process_time()
        started = time.perf_counter()
        answer = client.get(path, headers=headers)
        times.append((time.perf_counter() - started) * 1000)
        answer.raise_for_status()
    cpu = (time.process_time() - busy) * 1000 / requests
    times = sorted(times[3:])
    return {
        "median_ms": round(times[len(times) // 2], 2),
        "p95_ms": round(times[int(len(times) * 0.95)], 2),
        "cpu_ms": round(cpu, 2),
        "bytes": len(answer.content),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=int, default=ENVIRONMENTS)
    parser.add_argument("--builds-each", type=int, default=BUILDS_EACH)
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--database", type=Path, default=DATABASE)
    parser.add_argument("--output", type=Path, help="write the figures there, as JSON")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    database = filled(given.database, given.environments, given.builds_each)
    builds = given.environments * given.builds_each
    figures: dict[str, dict[str, float]] = {}
    with served(database) as url, httpx.Client(base_url=url) as client:
        first = client.get("/api/v2/environment/?limit=5000&sort_by=namespace,name", headers=ADMIN).json()
        for name, headers, template in LISTS:
            path = template.format(
                build=builds, cursor=first["cursor"], last_builds=builds // 100,
                last_environments=given.environments // 100, last_pages=given.environments // 40,
            )  # fmt: skip
            figures[name] = found = measure(client, headers, path, given.requests)
            mark = "" if found["p95_ms"] <= LIMIT else "  <-- slow"
            print(
                f"{name:28} median {found['median_ms']:7.2f}   p95 {found['p95_ms']:7.2f}"
                f"   cpu {found['cpu_ms']:7.2f} ms   {found['bytes']:8.0f} bytes{mark}",
                flush=True,
            )
    if given.output:
        given.output.write_text(json.dumps(figures, indent=2) + "\n")
    return int(any(figure["p95_ms"] > LIMIT for figure in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
