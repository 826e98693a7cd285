"""Channels, and the packages that they offer."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from conda_store.builder.package_index.model import PackageQuery
from conda_store.server.api import shapes
from conda_store.server.api.parameters import Number, Order, Size, SortBy, page_request
from conda_store.server.api.schemas import ChannelShape, PackageShape, PageOf
from conda_store.server.parts import Caller
from conda_store.server.rendering import page as rendered_page
from conda_store.services import packages

router = APIRouter(tags=["packages"])

Column = Literal["channel", "name", "version"]


@router.get("/api/v1/channel/", response_model=PageOf[ChannelShape])
def list_channels(
    call: Caller, page: Number = None, size: Size = None, order: Order = None, sort_by: SortBy = None
) -> Response:
    """The channels that are indexed, or that packages of builds came from. Sorted by `name`."""
    request = page_request(call.options, page, size, order, sort_by)
    found = packages.list_channels(call.context, call.actor, request)
    return rendered_page([shapes.channel(row) for row in found.rows], found.page, found.size, found.count)


@router.get("/api/v1/package/", response_model=PageOf[PackageShape])
def search_packages(
    call: Caller,
    page: Number = None,
    size: Size = None,
    order: Order = None,
    sort_by: SortBy = None,
    search: Annotated[str | None, Query(description="Part of the package's name.")] = None,
    exact: Annotated[str | None, Query(description="Anything: `search` is the whole name.")] = None,
    build: Annotated[str | None, Query(description="Part of a build string.")] = None,
    distinct_on: Annotated[
        list[Column] | None, Query(description="One row for each value of these; they are sorted by first.")
    ] = None,
) -> Response:
    """The packages of the indexed channels. Sorted by `channel`, `name` and `version` (in the order of versions)."""
    request = page_request(call.options, page, size, order, sort_by)
    query = PackageQuery(
        search=search,
        exact=exact or False,
        build=build,
        distinct_on=tuple(distinct_on or ()),
        sort_by=request.sort_by,
        order="desc" if request.is_descending else "asc",
        page=request.page,
        size=request.size or call.options.max_page_size,
        channels=packages.indexed_channels(call.context),
    )
    rows, count = packages.search_packages(call.context, call.actor, query)
    return rendered_page([shapes.indexed_package(*row) for row in rows], query.page, query.size, count)
