"""The first page: environments, found while one types."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from conda_store.db.environments import EnvironmentFilter
from conda_store.db.paging import PageRequest
from conda_store.domain.build import BuildStatus
from conda_store.domain.search import parse_search
from conda_store.server.parts import Caller
from conda_store.server.web.images import image_name
from conda_store.server.web.parameters import Number, Size
from conda_store.server.web.rendering import PageRoute, own_path, page
from conda_store.services import overview

router = APIRouter(include_in_schema=False, route_class=PageRoute)

PAGE_SIZE = 40


@router.get("/")
def get_home(
    request: Request,
    call: Caller,
    search: str = "",
    namespace: str = "",
    status: str = "",
    number: Number = 1,
    size: Size = PAGE_SIZE,
) -> Response:
    """Each word of `search` has to be in a name or the description, or be a package of the current build, which may
    have to have a version: `numpy>=2`.

    Asked by a script that replaces the list it gets the list alone.
    """
    chosen = BuildStatus(status) if status in set(BuildStatus) else None
    wanted = EnvironmentFilter(namespace=namespace or None, status=chosen, terms=parse_search(search[:200]))
    found = overview.list_overviews(call.context, call.actor, wanted, PageRequest(number, size))
    template = "home_list.html" if request.headers.get("hx-target") == "environments" else "home.html"
    return page(
        request,
        template,
        headers={"Vary": "Cookie, HX-Target"},
        found=found,
        usual=PAGE_SIZE,
        image_name=partial(image_name, call.options),
        search=search[:200],
        namespace=namespace,
        status=chosen or "",
        statuses=tuple(BuildStatus),
    )


@router.get("/environment/")
def get_environments(call: Caller) -> RedirectResponse:
    return RedirectResponse(own_path(call.options))


@router.get("/environment/{namespace}/")
def get_environments_of(call: Caller, namespace: str) -> RedirectResponse:
    return RedirectResponse(own_path(call.options, namespace=namespace))
