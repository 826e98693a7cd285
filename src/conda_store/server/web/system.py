"""The state of the whole at a glance, and the components that pages are made of."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.db.builds import BuildFilter
from conda_store.db.paging import PageRequest
from conda_store.domain.build import BuildStatus, Progress
from conda_store.server.parts import Caller
from conda_store.server.web.rendering import PageRoute, page
from conda_store.services import builds, metrics

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_SHOWN = 20


@router.get("/system/")
def get_system(request: Request, call: Caller) -> Response:
    """Numbers are of everything; builds are those that may be read."""
    numbers = metrics.numbers(call.context)

    def newest(status: BuildStatus) -> list[tuple[object, dict[str, object]]]:
        found = builds.list_builds(
            call.context, call.actor, BuildFilter(status), PageRequest(1, _SHOWN, ("id",), is_descending=True)
        )
        return [(row, Progress().dump() | dict(row.progress or {})) for row in found.rows]

    return page(
        request,
        "system.html",
        numbers=numbers,
        counts=[(status, numbers.get(f"build_{status.lower()}", 0)) for status in BuildStatus],
        workers=len(metrics.working(call.context)),
        running=newest(BuildStatus.BUILDING),
        waiting=newest(BuildStatus.QUEUED),
        failed=newest(BuildStatus.FAILED)[:10],
    )


@router.get("/design/")
def get_design(request: Request) -> Response:
    """Every component once: for those who change the style sheet."""
    return page(request, "design.html", statuses=tuple(BuildStatus))
