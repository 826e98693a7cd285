"""Opening a link that somebody shared: from then on the browser may read the environment."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.errors import NotFound
from conda_store.server.authentication import SHARE_COOKIE, links_with
from conda_store.server.parts import Caller
from conda_store.server.web.rendering import PageRoute, own_path, redirect
from conda_store.services.sharing import find_link

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/share/")
def get_share(request: Request, call: Caller, link: str = "") -> Response:
    """The link stands in the query, which is not logged; it is remembered in a cookie of its own."""
    found = find_link(call.context, link)
    if found is None:
        raise NotFound("the link is not valid", hint="It may have expired or been revoked: ask for another one.")
    answer = redirect(own_path(call.options, "environment", found.namespace, found.environment))
    answer.set_cookie(
        SHARE_COOKIE,
        links_with(request, link),
        max_age=int((found.expires_on - datetime.now(UTC)).total_seconds()),
        path=f"{call.options.prefix}/",
        httponly=True,
        secure=request.url.scheme == "https",
        # links are followed from elsewhere; with `strict` the page that comes next would not see it
        samesite="lax",
    )
    return answer
