"""Builds."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from conda_store.db.builds import BuildFilter
from conda_store.db.packages import PackageFilter
from conda_store.server.api import shapes
from conda_store.server.api.documented import refusals
from conda_store.server.api.parameters import (
    Artifact,
    BuildId,
    Identifier,
    Number,
    Order,
    Packages,
    Size,
    SortBy,
    Status,
    names,
    page_request,
)
from conda_store.server.api.schemas import Acknowledgement, Answer, BuildIdShape, BuildShape, PackageShape, PageOf
from conda_store.server.events import build_events, opened
from conda_store.server.parts import Caller
from conda_store.server.rendering import acknowledged, ok
from conda_store.server.rendering import page as rendered_page
from conda_store.services import builds

router = APIRouter(tags=["builds"])


@router.get("/api/v1/build/", response_model=PageOf[BuildShape])
def list_builds(
    call: Caller,
    page: Number = None,
    size: Size = None,
    order: Order = None,
    sort_by: SortBy = None,
    status: Status = None,
    packages: Packages = None,
    artifact: Artifact = None,
    environment_id: Identifier = None,
    name: Annotated[str | None, Query(description="Name of the environment.")] = None,
    namespace: str | None = None,
) -> Response:
    """The builds of the environments that the caller may read, deleted ones included.

    Sorted by `id` (default), `scheduled_on`, `started_on` or `ended_on`.
    """
    wanted = BuildFilter(status, names(packages), artifact, environment_id, name or None, namespace or None)
    request = page_request(call.options, page, size, order, sort_by)
    found = builds.list_builds(call.context, call.actor, wanted, request)
    return rendered_page([shapes.build(row) for row in found.rows], found.page, found.size, found.count)


@router.get("/api/v1/build/{build_id}/", response_model=Answer[BuildShape], responses=refusals(404))
def get_build(call: Caller, build_id: BuildId) -> Response:
    return ok(shapes.build(*builds.get_build(call.context, call.actor, build_id)))


@router.put("/api/v1/build/{build_id}/", response_model=Answer[BuildIdShape], responses=refusals(400, 403, 404))
def rebuild(call: Caller, build_id: BuildId) -> Response:
    """Queue another build of the same specification, solved anew."""
    return ok({"build_id": builds.rebuild(call.context, call.actor, build_id)}, "rebuild triggered")


@router.put("/api/v1/build/{build_id}/cancel/", response_model=Acknowledgement, responses=refusals(403, 404, 409))
def cancel_build(call: Caller, build_id: BuildId) -> Response:
    """A waiting build ends at once, a running one within a second."""
    builds.cancel_build(call.context, call.actor, build_id)
    return acknowledged(f"build {build_id} canceled")


@router.delete("/api/v1/build/{build_id}/", response_model=Acknowledgement, responses=refusals(400, 403, 404))
def delete_build(call: Caller, build_id: BuildId) -> Response:
    """Its files go, but for the kinds of artifacts in `build_artifacts_kept_on_deletion`."""
    builds.delete_build(call.context, call.actor, build_id)
    return acknowledged()


@router.get("/api/v1/build/{build_id}/packages/", response_model=PageOf[PackageShape], responses=refusals(404))
def list_packages(
    call: Caller,
    build_id: BuildId,
    page: Number = None,
    size: Size = None,
    order: Order = None,
    sort_by: SortBy = None,
    search: Annotated[str | None, Query(description="Part of the package's name.")] = None,
    exact: Annotated[str | None, Query(description="Anything: `search` is the whole name.")] = None,
    build: Annotated[str | None, Query(description="Part of the build string.")] = None,
) -> Response:
    """The packages in a build. Sorted by `channel` and `name`."""
    request = page_request(call.options, page, size, order, sort_by)
    wanted = PackageFilter(search or None, bool(exact), build or None)
    found = builds.list_packages(call.context, call.actor, build_id, wanted, request)
    return rendered_page([shapes.package_of_build(row) for row in found.rows], found.page, found.size, found.count)


@router.get(
    "/api/v1/build/{build_id}/events/",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}, **refusals(404)},
)
async def follow_build(
    call: Caller,
    request: Request,
    build_id: BuildId,
    logs: Annotated[bool, Query(description="Whether the log is wanted, too.")] = True,
    last_event_id: Annotated[str | None, Header(description="Go on with the log behind this event.")] = None,
) -> Response:
    """What a build does, while it does it: events `progress`, `log` and, last of all, `end`.

    `progress`: status, phase, packages_done, packages_total, bytes_done, bytes_total, status_info. `log`: text; its
    id says how many characters of the log have been sent. `end`: status and status_info.
    """
    await opened(call, build_id)
    return StreamingResponse(
        build_events(call, request, build_id, has_logs=logs, last_id=last_event_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )
