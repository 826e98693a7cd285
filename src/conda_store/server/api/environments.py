"""Environments."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from conda_store.db.environments import EnvironmentFilter
from conda_store.db.paging import PageRequest
from conda_store.server.api import shapes
from conda_store.server.api.bodies import EnvironmentBody
from conda_store.server.api.documented import SUNSET, refusals
from conda_store.server.api.parameters import (
    Artifact,
    EnvironmentName,
    NamespaceName,
    Number,
    Order,
    Packages,
    Size,
    SortBy,
    Status,
    names,
    page_request,
)
from conda_store.server.api.schemas import (
    Acknowledgement,
    Answer,
    CursorPageOf,
    EnvironmentRowV2,
    EnvironmentShape,
    PageOf,
)
from conda_store.server.parts import Caller
from conda_store.server.rendering import JSON, acknowledged, ok
from conda_store.server.rendering import page as rendered_page
from conda_store.services import environments

router = APIRouter(tags=["environments"])

Search = Annotated[str | None, Query(description="Part of the namespace's or the environment's name.")]
Token = Annotated[str | None, Query(description="Another's token: only what both may see is listed.")]


def _filter(
    call: Caller,
    request: Request,
    search: Search = None,
    namespace: str | None = None,
    name: str | None = None,
    status: Status = None,
    packages: Packages = None,
    artifact: Artifact = None,
    jwt: Token = None,
) -> EnvironmentFilter:
    other = call.parts.authenticator.bearer(request, jwt) if jwt else None
    return EnvironmentFilter(search, namespace, name, status, names(packages), artifact, also_readable_by=other)


Filter = Annotated[EnvironmentFilter, Depends(_filter)]


@router.get("/api/v1/environment/", response_model=PageOf[EnvironmentShape], responses=refusals(400), deprecated=True)
def list_environments(
    call: Caller,
    wanted: Filter,
    page: Number = None,
    size: Size = None,
    order: Order = None,
    sort_by: SortBy = None,
    with_status: Annotated[bool, Query(description="Each row has `current_build_status`, too.")] = False,
) -> Response:
    """The environments that the caller may read; all of them where neither `page` nor `size` is given.

    Status, packages and artifact are those of the current build. Sorted by `namespace` and `name`.
    """
    request = page_request(call.options, page, size, order, sort_by)
    if page is None and size is None:
        request = PageRequest(1, None, request.sort_by, request.is_descending)
    found = environments.list_environments(call.context, call.actor, wanted, request)
    rows = [shapes.environment(row, call.actor, with_status=with_status) for row in found.rows]
    return rendered_page(rows, found.page, found.size, found.count, headers=SUNSET)


@router.get("/api/v2/environment/", response_model=CursorPageOf[EnvironmentRowV2], responses=refusals(400))
def list_environments_v2(
    call: Caller,
    wanted: Filter,
    cursor: Annotated[str | None, Query(description="The `cursor` of the page before.")] = None,
    limit: Annotated[int | None, Query(ge=1, le=10**6, description="Rows on a page.")] = None,
    order: Literal["asc", "desc"] = "asc",
    sort_by: Annotated[list[str] | None, Query(description="`namespace`, `name`: repeated, or with commas.")] = None,
) -> Response:
    """As v1, in pages that stay right while rows come and go. A page that is empty was the last."""
    found = environments.list_environments_after(
        call.context,
        call.actor,
        wanted,
        cursor=cursor or None,
        limit=limit or call.options.max_page_size,
        sort_by=tuple(dict.fromkeys(part for value in sort_by or () for part in value.split(",") if part)),
        is_descending=order == "desc",
    )
    rows = [shapes.environment_v2(row, call.actor) for row in found.rows]
    return JSON({"data": rows, "status": "ok", "message": None, "cursor": found.cursor, "count": found.count})


@router.get("/api/v1/environment/{name}/", response_model=Answer[EnvironmentShape], responses=refusals(404))
def get_default_environment(call: Caller, name: EnvironmentName) -> Response:
    """An environment of the default namespace."""
    return ok(shapes.environment(environments.get_default_environment(call.context, call.actor, name), call.actor))


@router.get("/api/v1/environment/{namespace}/{name}/", response_model=Answer[EnvironmentShape], responses=refusals(404))
def get_environment(call: Caller, namespace: NamespaceName, name: EnvironmentName) -> Response:
    return ok(shapes.environment(environments.get_environment(call.context, call.actor, namespace, name), call.actor))


@router.put(
    "/api/v1/environment/{namespace}/{name}/", response_model=Acknowledgement, responses=refusals(400, 403, 404)
)
def update_environment(
    call: Caller, namespace: NamespaceName, name: EnvironmentName, body: EnvironmentBody | None = None
) -> Response:
    """Make a completed build the current one (`build_id`), or change the `description`."""
    changes = body or EnvironmentBody()
    environments.update_environment(
        call.context, call.actor, namespace, name, build_id=changes.build_id, description=changes.description
    )
    return acknowledged()


@router.delete("/api/v1/environment/{namespace}/{name}/", response_model=Acknowledgement, responses=refusals(403, 404))
def delete_environment(call: Caller, namespace: NamespaceName, name: EnvironmentName) -> Response:
    """Deletes its builds, and what they hold, too."""
    environments.delete_environment(call.context, call.actor, namespace, name)
    return acknowledged()
