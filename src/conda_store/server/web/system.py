"""The state of the whole at a glance."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.db.builds import BuildFilter
from conda_store.db.paging import PageRequest
from conda_store.db.records import BuildRecord
from conda_store.domain.build import BuildStatus, Progress
from conda_store.server.parts import FIGURE_DAYS, FIGURE_HOURS, Call, Caller
from conda_store.server.web.charts import builds_chart, queue_chart, shares
from conda_store.server.web.rendering import PageRoute, page
from conda_store.services import builds, metrics

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_SHOWN = 20
_MOST_NAMESPACES = 8

Shown = dict[int, tuple[BuildRecord, dict[str, object]]]


@router.get("/system/")
def get_system(request: Request, call: Caller) -> Response:
    """Numbers are of everything; builds are those that may be read."""
    figures = call.parts.figures.get()
    numbers = figures.numbers

    def newest(status: BuildStatus) -> list[tuple[BuildRecord, dict[str, object]]]:
        found = builds.list_builds(
            call.context, call.actor, BuildFilter(status), PageRequest(1, _SHOWN, ("id",), is_descending=True)
        )
        return [(row, Progress().dump() | dict(row.progress or {})) for row in found.rows]

    now = datetime.now(UTC)
    running = newest(BuildStatus.BUILDING)
    return page(
        request,
        "system.html",
        chart=builds_chart(figures.days, now.date(), FIGURE_DAYS.days),
        queue=queue_chart(figures.waits, figures.moment, FIGURE_HOURS),
        disk=shares(figures.held_for(call.actor), _MOST_NAMESPACES),
        waiting_since=metrics.waiting_since(call.context),
        busy=_busy(call, {row.id: (row, progress) for row, progress in running}),
        numbers=numbers,
        counts=[(status, numbers.get(f"build_{status.lower()}", 0)) for status in BuildStatus],
        running=running,
        waiting=newest(BuildStatus.QUEUED),
        failed=newest(BuildStatus.FAILED)[:10],
    )


def _busy(call: Call, shown: Shown) -> list[tuple[str, list[tuple[BuildRecord, dict[str, object]]], int]]:
    """Each worker that builds, what it does as far as the caller may see it, and how much it does besides."""
    busy = []
    for owner, ids in metrics.working(call.context, call.actor).items():
        seen = [shown[build_id] for build_id in ids if build_id in shown]
        busy.append((owner, seen, len(ids) - len(seen)))
    return busy
