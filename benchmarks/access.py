"""What it costs to find out who asks and what they may do: one route, asked in turns by different callers.

    python -m benchmarks.access [--requests N] [--json FILE]

`anonymous` asks without a token, so that nothing is looked up: it is what the others are compared with. Half of the
20,000 roles that are kept are shares of the callers' namespaces. Milliseconds of processor time of the whole process,
client included, since that does not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog
from sqlalchemy import insert

from conda_store.db.tables import role_binding
from conda_store.domain.access import Way
from tests.http.service import Service, data

ROLES = 20_000
PATH = "/api/v1/environment/default/one/"
LIMIT = 1.0


def _filled(service: Service) -> None:
    with service.context.database.write() as connection:
        rows = [
            {
                "way": Way.SHARE,
                "namespace_id": 1,
                "holder": f"user:user-{number}" if number % 2 else f"namespace:team-{number}",
                "entity_namespace": "default",
                "entity_environment": f"e{number}",
                "role": "viewer",
                "given_by": "benchmark",
                "given_on": datetime.now(UTC),
            }
            for number in range(ROLES)
        ]
        connection.execute(insert(role_binding), rows)


def measured(requests: int) -> dict[str, dict[str, float]]:
    """For each caller the median of a request, and what it takes more than an anonymous one."""
    with tempfile.TemporaryDirectory() as directory, Service(Path(directory)) as service:
        service.build("default", "one", "zlib")
        _filled(service)
        with service.client("owner") as owner:
            narrowed = {"role_bindings": {"default/*": ["viewer"]}}
            issued = data(owner.post("/api/v1/token/", json=narrowed))["token"]
        clients = {
            "anonymous": service.client(),
            "token of the configuration": service.client("viewer"),
            "token that was made, narrowed": service.client(issued),
        }
        spent: dict[str, list[float]] = {name: [] for name in clients}
        for _ in range(requests):
            for name, client in clients.items():
                started = time.process_time()
                assert client.get(PATH).status_code == 200
                spent[name].append((time.process_time() - started) * 1000)
        for client in clients.values():
            client.close()
    medians = {name: statistics.median(values) for name, values in spent.items()}
    return {
        name: {"median": round(median, 3), "added": round(median - medians["anonymous"], 3)}
        for name, median in medians.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    found = measured(options.requests)
    if options.json:
        options.json.write_text(json.dumps(found))
    for name, row in found.items():
        print(f"{name:32} {row['median']:8.3f} ms  {row['added']:+.3f}")
    return 0 if max(row["added"] for row in found.values()) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
